// Two runs laid side by side: for every document that both answered on the identical prompt, the scores of
// both.
//
// Documents are matched by content, so that the runs may come from different databases: task by name,
// document by row number and hash, prompt by the hash of its token ids. What has no partner is counted and
// named, never dropped in silence. Repeats of a document are averaged (or turned into pass@k) before they are
// paired. Plain data: everything that judges it is a pure function.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "results/resume.h"
#include "results/runs.h"
#include "results/sqlite.h"
#include "results/statistics/estimate.h"

namespace fathom::results {

/// The log-probability of the right choice, as a metric: moves long before the accuracy does.
inline constexpr const char* kGoldLogprob = "gold_logprob";

/// A document that both runs answered on the same prompt.
struct PairedDoc {
  std::string key;  ///< "HumanEval/3", or the row number
  std::string target;
  std::string base_answer;  ///< what the headline scorer took from the first repeat
  std::string cand_answer;
  bool identical = false;  ///< all log-probabilities, texts and ids are equal, bit for bit
};

/// One metric of one task over the paired documents that have a score in both runs.
struct PairedSeries {
  std::string metric;  ///< "acc", "pass@10", kGoldLogprob
  std::string filter;
  bool headline = false;
  std::optional<Bounds> bounds;
  std::vector<double> base;  ///< one a document
  std::vector<double> cand;
  std::vector<size_t> docs;  ///< beside the values: indices into PairedTask::docs
};

/// Documents without a pair: how many, and some of their keys.
struct Unpaired {
  int64_t n = 0;
  std::vector<std::string> keys;  ///< the first few; documents that were never stored have no key to show
};

struct PairedTask {
  std::string name;
  std::vector<std::string> groups;  ///< that both runs report the task in, outermost first
  int64_t n_base_planned = 0;       ///< documents
  int64_t n_cand_planned = 0;
  std::vector<PairedDoc> docs;
  std::vector<std::string> clusters;  ///< beside docs; empty names where an item belongs to none
  Unpaired prompt_differs;
  Unpaired base_only;  ///< not asked in the candidate: other data or another --limit
  Unpaired cand_only;
  Unpaired base_unscored;  ///< planned in both; no score in this run (error, or not stored)
  Unpaired cand_unscored;
  int64_t n_base_cut = 0;  ///< paired documents some answer to which was cut by the token limit
  int64_t n_cand_cut = 0;
  std::vector<PairedSeries> series;  ///< in the order of the base run's metrics, kGoldLogprob last
};

/// What a run cost, for the samples that it computed itself.
struct RunSpeed {
  int64_t n_samples = 0;
  int64_t n_tokens = 0;  ///< prompt tokens not taken from a cache, and generated ones
  double seconds = 0.0;  ///< in the run loop, all attempts
  std::string machine;   ///< description, JSON
  std::string device;
  int64_t n_threads = 0;
  std::string build_sha256;

  double tokens_per_s() const { return seconds > 0.0 ? static_cast<double>(n_tokens) / seconds : 0.0; }
  double samples_per_s() const { return seconds > 0.0 ? static_cast<double>(n_samples) / seconds : 0.0; }
};

struct RunSide {
  RunInfo info;
  RunSpeed speed;
};

struct PairedRuns {
  RunSide base;
  RunSide cand;
  std::vector<PlanDifference> provenance;  ///< of plan, weights, build, machine; there: base, here: candidate
  /// Those of them that make the answers answers to different questions: task, version, few-shot count,
  /// prompts, generation parameters (the seed apart). Differences of data, numerics and weights are what
  /// comparisons are for.
  std::vector<PlanDifference> incomparable;
  std::vector<PairedTask> tasks;             ///< that both runs have, in the order of the base run
  std::vector<std::string> only_base_tasks;  ///< names
  std::vector<std::string> only_cand_tasks;
};

/// Runs of the same weights under the same plan must answer alike, bit for bit: how many paired documents
/// were answered otherwise. Nothing for runs that may differ.
std::optional<int64_t> count_unexpected_changes(const PairedRuns& runs);

PairedRuns pair_runs(const Database& base_database, int64_t base_run, const Database& cand_database,
                     int64_t cand_run);

}  // namespace fathom::results
