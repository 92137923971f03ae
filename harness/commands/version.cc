#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "harness/commands.h"
#include "harness/version.h"

namespace fathom::harness {

void add_version(CLI::App& app, CommandContext&) {
  CLI::App* command = app.add_subcommand("version", "Print version, commit, compiler and instruction sets");
  command->callback([] { fmt::print("{}\n", version_text()); });
}

}  // namespace fathom::harness
