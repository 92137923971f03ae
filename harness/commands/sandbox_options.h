// The sandbox's part of a command line: the same options and defaults in every command that runs programs.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <optional>
#include <string>

#include "scorers/sandbox/options.h"

namespace fathom::harness {

/// Values as given; turned into SandboxOptions after parsing.
struct SandboxArguments {
  std::string level = "auto";
  std::string timing = "default";
  bool accept_no_sandbox = false;
  std::string python;
  int workers = 0;
  std::optional<double> timeout_s;
  std::optional<double> wall_s;
  int64_t memory_mb = sandbox::Limits().memory_mb;

  /// Throws Error{kUsage} or Error{kBadInput} for values that are out of range.
  sandbox::SandboxOptions options() const;
};

/// Adds --sandbox, --i-know-this-is-unsafe, --python, --workers, --timing, --timeout, --wall and --memory-mb.
void add_sandbox_options(CLI::App& command, const std::shared_ptr<SandboxArguments>& arguments);

/// The wall limit that goes with a CPU limit when none is given: four times as long, 12 s for the default of
/// 3 s.
double wall_limit_for(double cpu_s);

}  // namespace fathom::harness
