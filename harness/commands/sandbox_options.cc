#include "harness/commands/sandbox_options.h"

#include <CLI/CLI.hpp>

namespace fathom::harness {

double wall_limit_for(double cpu_s) {
  return 4 * cpu_s;
}

sandbox::SandboxOptions SandboxArguments::options() const {
  sandbox::SandboxOptions options;
  options.level = sandbox::parse_level(level);
  options.timing = sandbox::parse_timing(timing);
  options.accept_no_sandbox = accept_no_sandbox;
  options.python = python;
  options.n_workers = workers;
  options.limits.memory_mb = memory_mb;
  if (options.timing == sandbox::Timing::kReference) {
    // The reference knows one limit: its timeout is wall time.
    options.limits.wall_s = wall_s ? *wall_s : timeout_s.value_or(3.0);
  } else {
    options.limits.cpu_s = timeout_s.value_or(options.limits.cpu_s);
    options.limits.wall_s = wall_s ? *wall_s : wall_limit_for(options.limits.cpu_s);
  }
  sandbox::check_options(options);
  return options;
}

void add_sandbox_options(CLI::App& command, const std::shared_ptr<SandboxArguments>& arguments) {
  command.add_option("--sandbox", arguments->level, "auto, full, bwrap, landlock or none (docs/sandbox.md)")
      ->capture_default_str();
  command.add_flag("--i-know-this-is-unsafe", arguments->accept_no_sandbox, "Needed by --sandbox=none");
  command.add_option("--python", arguments->python,
                     "CPython >= 3.9 that runs the programs [/usr/bin/python3, else PATH]");
  command.add_option("--workers", arguments->workers, "Programs at the same time; 0: one a processor")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command
      .add_option("--timing", arguments->timing,
                  "default: CPU time decides; reference: wall time, as the original HumanEval harness")
      ->capture_default_str();
  command.add_option("--timeout", arguments->timeout_s,
                     "CPU seconds of a sample; with --timing reference wall seconds [3]");
  command.add_option("--wall", arguments->wall_s, "Wall seconds of a sample [4 x --timeout]");
  command.add_option("--memory-mb", arguments->memory_mb, "Address space of a program, MiB")
      ->capture_default_str();
}

}  // namespace fathom::harness
