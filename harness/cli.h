// The command line: one CLI11 app, one file per command in harness/commands/.
#pragma once

#include <string>
#include <vector>

namespace fathom::harness {

/// Parses `args` (without the program name), runs the command and returns the exit code. Errors are printed
/// to standard error, one line each; nothing is thrown.
int run_command_line(const std::vector<std::string>& args);

}  // namespace fathom::harness
