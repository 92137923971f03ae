#include "harness/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>

#include "base/error.h"
#include "harness/commands.h"
#include "harness/version.h"

namespace fathom::harness {
namespace {

void add_all_commands(CLI::App& app, CommandContext& context) {
  add_baseline(app, context);
  add_bench(app, context);
  add_compare(app, context);
  add_data(app, context);
  add_db(app, context);
  add_doctor(app, context);
  add_exec(app, context);
  add_gate(app, context);
  add_generate(app, context);
  add_list(app, context);
  add_logprobs(app, context);
  add_model(app, context);
  add_render(app, context);
  add_rescore(app, context);
  add_run(app, context);
  add_samples(app, context);
  add_show(app, context);
  add_tokenize(app, context);
  add_version(app, context);
}

int run(const std::vector<std::string>& args) {
  CLI::App app{"fathom: scores language models of the DeepSeek-V2 family, repeatably, from one binary",
               "fathom"};
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", version_text());
  app.failure_message(CLI::FailureMessage::simple);
  CommandContext context;
  context.command_line = args;
  add_all_commands(app, context);

  std::vector<std::string> reversed(args.rbegin(), args.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return kExitUsage;
  }
  if (app.get_subcommands().empty()) {
    std::cerr << app.help();
    return kExitUsage;
  }
  std::cout << std::flush;
  if (!std::cout) {
    std::fputs("fathom: error: standard output: cannot write (disk full or pipe closed?)\n", stderr);
    return kExitBadInput;
  }
  return context.exit_code;
}

}  // namespace

int run_command_line(const std::vector<std::string>& args) {
  try {
    return run(args);
  } catch (const Error& error) {
    std::fprintf(stderr, "fathom: error: %s\n", error.what());
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    std::fputs("fathom: error: out of memory\n", stderr);
    return kExitEngine;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fathom: error: %s\n", error.what());
    return kExitEngine;
  }
}

}  // namespace fathom::harness
