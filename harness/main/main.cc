#include <string>
#include <vector>

#include "harness/cli.h"

int main(int argc, char** argv) {
  return fathom::harness::run_command_line(std::vector<std::string>(argv + 1, argv + argc));
}
