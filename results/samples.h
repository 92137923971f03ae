// Samples as they are stored, one at a time, in the order of the plan.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "results/records.h"
#include "results/sqlite.h"

namespace fathom::results {

struct StoredScore {
  std::string metric;
  std::string filter;
  std::optional<double> value;
  ScoreOutcome outcome = ScoreOutcome::kScored;
  std::string answer;
  std::string why;
  bool headline = false;
};

struct StoredSample {
  int64_t sample_id = 0;
  std::string task;
  int64_t ordinal = 0;  ///< row number of the document in its data file
  std::string doc_key;
  int64_t rep = 0;
  int64_t n_reps = 1;
  std::string target;
  Sha256Digest doc_sha256{};  ///< results/plan.h
  Sha256Digest prompt_sha256{};
  Sha256Digest ids_sha256{};
  SampleStatus status = SampleStatus::kAnswered;
  std::string error;
  Finish finish = Finish::kScored;
  uint32_t flags = 0;
  int64_t n_prompt = 0;
  int64_t n_cached = 0;
  int64_t n_truncated = 0;
  std::optional<int64_t> gold;
  std::vector<double> choice_logprobs;
  std::vector<bool> choice_greedy;
  std::string output;
  std::vector<int32_t> output_ids;
  std::vector<float> output_logprobs;
  std::optional<int64_t> reused_from;  ///< run that computed it; 0: one that is not in this database
  std::vector<StoredScore> scores;
  std::vector<VerdictRecord> verdicts;

  /// "error" for a sample without an answer, else the outcome of the headline score.
  ScoreOutcome outcome() const;
};

/// Calls `visit` for every sample of the run: by task in the order of the run, then by document and repeat.
/// `task` (may be empty) keeps one task, or the members of one group. Throws Error{kBadInput} when the run
/// has neither.
void for_each_sample(const Database& database, int64_t run_id, const std::string& task,
                     const std::function<void(const StoredSample&)>& visit);

}  // namespace fathom::results
