// Control groups that bound what a side of a cell uses in total: memory and number of processes. An optional
// layer: it needs a cgroup v2 tree that was delegated to us, or the v1 controllers and root. Nothing here is
// per sample but a changed limit.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace fathom::sandbox {

/// Where groups can be made: one folder for version 2, one for each controller (memory, pids) for version 1.
struct CgroupParent {
  int version = 2;
  std::vector<std::filesystem::path> folders;
};

struct CgroupOffer {
  CgroupParent parent;  ///< without folders when there is none
  std::string absence;  ///< why there is none
  bool available() const { return !parent.folders.empty(); }
};

/// The candidates in the order in which they are tried, from the texts of /proc/self/mountinfo and
/// /proc/self/cgroup.
std::vector<CgroupParent> cgroup_candidates(const std::string& mounts, const std::string& own);

/// The first candidate in which a group can be made whose limits hold: a process in it is refused a second
/// one, and one that takes more memory than it may is killed. Removes groups that a killed supervisor left.
/// Costs some milliseconds.
CgroupOffer find_cgroups();

struct CgroupLimits {
  int64_t memory_bytes = 0;
  int64_t processes = 0;  ///< threads count, too
  bool operator==(const CgroupLimits&) const = default;
};

/// A group below `parent`, removed with its object.
class Cgroup {
 public:
  /// Throws SetupFailure (layer "cgroup limits").
  Cgroup(const CgroupParent& parent, const std::string& name);
  ~Cgroup();
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;

  /// Does nothing when these are the limits already. Throws SetupFailure.
  void set_limits(const CgroupLimits& limits);
  /// Throws SetupFailure.
  void add(pid_t pid);
  /// How many processes the kernel has killed for the memory limit.
  int64_t n_memory_kills() const;

 private:
  std::filesystem::path folder(const char* controller) const;

  const int version_;
  std::vector<std::filesystem::path> folders_;  // of the group, as in CgroupParent
  CgroupLimits limits_;
};

}  // namespace fathom::sandbox
