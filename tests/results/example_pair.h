// Two runs side by side, made up, for tests of what judges them: no database.
#pragma once

#include <string>
#include <vector>

#include "results/judging/paired_runs.h"

namespace fathom::results {

/// A task of `n` documents with 0/1 scores: the first `lost` are right in the base only, the next `won` in
/// the candidate only; of the rest, `both` are right in both runs.
inline PairedTask example_paired_task(const std::string& name, int64_t n, int64_t lost, int64_t won,
                                      int64_t both = 0, std::vector<std::string> groups = {}) {
  PairedTask task{.name = name, .groups = std::move(groups), .n_base_planned = n, .n_cand_planned = n};
  PairedSeries series{.metric = "acc", .filter = "none", .headline = true, .bounds = Bounds{0.0, 1.0}};
  for (int64_t i = 0; i < n; ++i) {
    const bool is_both = i >= lost + won && i < lost + won + both;
    series.base.push_back(i < lost || is_both ? 1.0 : 0.0);
    series.cand.push_back((i >= lost && i < lost + won) || is_both ? 1.0 : 0.0);
    series.docs.push_back(static_cast<size_t>(i));
    task.docs.push_back({.key = std::to_string(i), .target = "A", .base_answer = "A", .cand_answer = "B"});
    task.clusters.emplace_back();
  }
  task.series.push_back(std::move(series));
  return task;
}

/// Gives a task the log-probabilities of its right choices.
inline void add_gold_logprobs(PairedTask& task, std::vector<double> base, std::vector<double> cand) {
  PairedSeries series{
      .metric = kGoldLogprob, .filter = "none", .base = std::move(base), .cand = std::move(cand)};
  for (size_t i = 0; i < series.base.size(); ++i) series.docs.push_back(i);
  task.series.push_back(std::move(series));
}

/// Two complete runs of different weights.
inline PairedRuns example_pair(std::vector<PairedTask> tasks) {
  PairedRuns runs{.tasks = std::move(tasks)};
  for (RunSide* side : {&runs.base, &runs.cand}) {
    side->info.run_id = side == &runs.base ? 1 : 2;
    side->info.status = RunStatus::kComplete;
    side->info.model = "example";
    side->info.manifest_sha256 = sha256(side == &runs.base ? "old" : "new");
    side->speed = {.n_samples = 100, .n_tokens = 10'000, .seconds = 10.0, .device = "cpu", .n_threads = 2};
  }
  return runs;
}

}  // namespace fathom::results
