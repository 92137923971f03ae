// Every command of `fathom`: each adds its subcommand, options and help to the app. A command's work throws
// Error; run_command_line turns it into a line on standard error and the documented exit code.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

namespace fathom::harness {

/// Shared by the command line and the command that runs.
struct CommandContext {
  std::vector<std::string> command_line;  ///< as typed, without the program's name
  int exit_code = 0;  ///< set by commands that end without an error but not with exit code 0
};

// One line a command, alphabetical.
void add_baseline(CLI::App& app, CommandContext& context);
void add_bench(CLI::App& app, CommandContext& context);
void add_compare(CLI::App& app, CommandContext& context);
void add_data(CLI::App& app, CommandContext& context);
void add_db(CLI::App& app, CommandContext& context);
void add_doctor(CLI::App& app, CommandContext& context);
void add_exec(CLI::App& app, CommandContext& context);
void add_gate(CLI::App& app, CommandContext& context);
void add_generate(CLI::App& app, CommandContext& context);
void add_list(CLI::App& app, CommandContext& context);
void add_logprobs(CLI::App& app, CommandContext& context);
void add_model(CLI::App& app, CommandContext& context);
void add_render(CLI::App& app, CommandContext& context);
void add_rescore(CLI::App& app, CommandContext& context);
void add_run(CLI::App& app, CommandContext& context);
void add_samples(CLI::App& app, CommandContext& context);
void add_show(CLI::App& app, CommandContext& context);
void add_tokenize(CLI::App& app, CommandContext& context);
void add_version(CLI::App& app, CommandContext& context);

}  // namespace fathom::harness
