// Deleting runs and everything that only they used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "results/runs.h"
#include "results/sqlite.h"

namespace fathom::results {

/// Which runs to delete: the named ones, and those that meet every condition that is set.
struct PruneChoice {
  std::vector<int64_t> run_ids;
  std::optional<int64_t> created_before_us;
  bool only_incomplete = false;
};

struct PrunePlan {
  std::vector<RunInfo> runs;      ///< to delete, oldest first
  std::vector<std::string> kept;  ///< "run 3: baseline \"release\"": meets the conditions and stays
};

/// Changes nothing. Throws Error{kUsage} when nothing is chosen, and Error{kBadInput} when a named run is a
/// baseline.
PrunePlan plan_prune(const Database& database, const PruneChoice& choice);

struct PruneResult {
  int64_t bytes_before = 0;
  int64_t bytes_after = 0;
};

/// Deletes the runs one transaction each, then the checkpoints, documents, prompts and texts that no run uses
/// any more, then gives the space back. `database` is read-write and its lock is held. A kill leaves whole
/// runs.
PruneResult prune(Database& database, const PrunePlan& plan);

}  // namespace fathom::results
