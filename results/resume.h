// Resuming: which stored run, if any, a plan continues.
//
// A sample belongs to a plan by content: weights, tokenizer, tasks, data, parameters and numerics, never by a
// name or a time. A plan that matches an unfinished run continues it; one that matches a finished run has
// nothing to compute; one that was meant to continue a run but differs from it is refused with the
// difference.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "results/records.h"
#include "results/sqlite.h"

namespace fathom::results {

/// What stands in the way of telling two checkpoints apart or the same.
enum class SameWeights { kYes, kNo, kUnknown };

struct ResumeDecision {
  std::optional<int64_t> run_id;  ///< the run to continue or, when complete, to show; absent: a new run
  bool complete = false;          ///< every planned sample has its answer already
  /// A stored run of this plan read tensor files that may be these; hashing them would tell.
  bool needs_hashes = false;
};

/// Throws Error{kUsage} that lists what differs when an unfinished run of the same name, model folder and
/// tasks exists whose plan or weights are not those of `run`.
ResumeDecision decide_resume(const Database& database, const RunRecord& run);

/// Runs whose samples are those of `run` where tasks, documents and repeats agree: everything but the list of
/// tasks is the same. Newest first; `except` is left out.
std::vector<int64_t> runs_with_same_context(const Database& database, const RunRecord& run, int64_t except);

/// One value of a plan that another plan has not, or has otherwise.
struct PlanDifference {
  std::string path;                  ///< "numerics.dtype", "tasks.gsm8k.n_shot"
  std::optional<std::string> there;  ///< in the first plan, as JSON, shortened; absent where it is not there
  std::optional<std::string> here;   ///< in the second
};

/// One entry a value; tasks are matched by name.
std::vector<PlanDifference> plan_differences(const std::string& there, const std::string& here);

}  // namespace fathom::results
