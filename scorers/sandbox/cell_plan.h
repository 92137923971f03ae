// Everything that is decided once per run: interpreter, level, layers, filters, scripts. A cell is started
// from it.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "scorers/sandbox/options.h"
#include "scorers/sandbox/zygote.h"

namespace fathom::sandbox {

/// A folder on the host for levels without a mount namespace; removed with everything in it.
class HostFolder {
 public:
  /// Makes an empty folder in $TMPDIR or /tmp. Throws Error{kEnvironment}.
  HostFolder();
  ~HostFolder();
  HostFolder(const HostFolder&) = delete;
  HostFolder& operator=(const HostFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class CellPlan {
 public:
  /// `options.level` must be a level, not kAuto. Throws Error{kEnvironment}, SetupFailure.
  CellPlan(const SandboxOptions& options, const Interpreter& interpreter, const HostWitness& witness);

  Level level() const { return options_.level; }
  const SandboxOptions& options() const { return options_; }
  const HostWitness& witness() const { return witness_; }

  /// What the zygote of one side of cell `index` is started with.
  ZygoteSpec zygote(int index, Role role) const;

  /// What both sides may use in total where the machine offers control groups.
  CgroupLimits cgroup_limits(Role role, const Limits& limits) const;

  /// Names of the layers that every sample runs in.
  const std::vector<std::string>& layers() const { return layers_; }
  /// Optional layers that this machine lacks, with the reason.
  const std::vector<std::string>& warnings() const { return warnings_; }

  /// For the error about an interpreter that does not start: the system calls of its first imports that the
  /// filter refuses, or why they are not known.
  std::string refused_at_start() const;

  /// Canonical description of everything that confines and times a sample.
  nlohmann::json policy(const Limits& limits) const;
  /// SHA-256 of the policy's canonical JSON.
  const std::string& policy_hash(const Limits& limits) const;
  /// Level, layers, warnings, kernel, interpreter, policy and its hash: what a run stores.
  nlohmann::json run_record() const;

 private:
  nlohmann::json zygote_config(Role role, const std::string& folder) const;
  void choose_layers();

  SandboxOptions options_;
  Interpreter interpreter_;
  VisibleFiles visible_;
  HostWitness witness_;
  int landlock_abi_ = 0;
  CgroupOffer cgroups_;
  std::string runner_filter_;
  std::string judge_filter_;
  std::optional<HostFolder> folder_;
  std::vector<std::string> layers_;
  std::vector<std::string> warnings_;
  mutable std::vector<std::pair<Limits, std::string>> hashes_;
};

}  // namespace fathom::sandbox
