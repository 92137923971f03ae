#include <string>
#include <vector>

#include "harness/cli.h"
#include "scorers/sandbox/broker.h"

int main(int argc, char** argv) {
  fathom::sandbox::run_broker_if_asked(argc, argv);
  return fathom::harness::run_command_line(std::vector<std::string>(argv + 1, argv + argc));
}
