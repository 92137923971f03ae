// Judging the stored answers of a run again: new scores under the scorers' new version, the old ones kept.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "results/records.h"
#include "results/sqlite.h"
#include "results/stored_tasks.h"

namespace fathom::results {

/// Whether `scorings` have judged the task in exactly these versions.
bool is_judged_by(const Database& database, int64_t run_task_id, const std::vector<ScoringRecord>& scorings);

struct RejudgedSample {
  int64_t sample_id = 0;
  uint32_t flags = 0;
  std::vector<ScoreRecord> scores;      ///< one for each scoring
  std::vector<VerdictRecord> verdicts;  ///< of code tasks: further executions, after those that are stored
};

struct RejudgedTask {
  StoredTask task;
  std::vector<ScoringRecord> scorings;
  std::vector<RejudgedSample> samples;  ///< every answered sample of the task
};

/// Stores the scores and computes the metrics of the run from them, in one transaction. The policies of the
/// verdicts are stored already.
void store_rejudged(Database& database, int64_t run_id, const std::vector<RejudgedTask>& tasks);

}  // namespace fathom::results
