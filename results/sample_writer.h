// Writes samples into the tables of the schema: one object per run, statements compiled once.
#pragma once

#include <cstdint>
#include <vector>

#include "results/records.h"
#include "results/sqlite.h"

namespace fathom::results {

/// A task of the run being written, with the ids that its samples refer to.
struct WrittenTask {
  int64_t run_task_id = 0;
  std::string name;
  int64_t n_reps = 1;
  std::vector<int64_t> doc_ids;      ///< by position in TaskRecord::docs
  std::vector<int64_t> scoring_ids;  ///< by position in TaskRecord::scorings
  std::vector<ScoringRecord> scorings;
};

/// By how much the counters of a task grow.
struct CountChange {
  int64_t n_stored = 0;
  int64_t n_errors = 0;
};

class SampleWriter {
 public:
  explicit SampleWriter(Database& database);

  /// Inserts the sample with everything that belongs to it, unless it is there already; an error that is
  /// there gives way. Inside a transaction of the caller, who keeps the counters.
  CountChange write(const WrittenTask& task, int64_t attempt, const SampleRecord& sample);

  /// The scores of a stored sample: one for each scoring of the task.
  void add_scores(const WrittenTask& task, int64_t sample_id, const std::vector<ScoreRecord>& scores);
  /// Executions of its program, after those that are stored.
  void add_verdicts(int64_t sample_id, const std::vector<VerdictRecord>& verdicts);

 private:
  int64_t prompt_id(const PromptRecord& prompt);
  void write_io(int64_t sample_id, const SampleRecord& sample);

  Statement insert_text_;
  Statement select_text_;
  Statement insert_prompt_;
  Statement select_prompt_;
  Statement delete_error_;
  Statement insert_sample_;
  Statement insert_io_;
  Statement insert_score_;
  Statement count_verdicts_;
  Statement insert_verdict_;
};

}  // namespace fathom::results
