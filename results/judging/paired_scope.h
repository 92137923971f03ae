// What is compared as one number: a task, or a group of tasks pooled over all their documents.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "results/judging/paired_runs.h"
#include "results/statistics/estimate.h"
#include "results/statistics/paired.h"

namespace fathom::results {

struct PairedScope {
  std::string scope;  ///< "group:mmlu", "task:gsm8k"
  std::string metric;
  std::string filter;
  bool headline = false;
  std::optional<Bounds> bounds;
  std::vector<double> base;  ///< one a paired document
  std::vector<double> cand;
  std::vector<double> differences;    ///< candidate minus base
  std::vector<std::string> clusters;  ///< beside them where some documents share a text; else empty
  int64_t n_identical = 0;            ///< documents whose answers are equal bit for bit
};

/// Groups that both runs report, outermost first, each with the metrics that all their members have; then
/// tasks.
std::vector<PairedScope> paired_scopes(const std::vector<PairedTask>& tasks);

/// "group:mmlu" for the outermost group of each task, "task:gsm8k" for a task in none: together they hold
/// every task once.
std::vector<std::string> top_level_scopes(const std::vector<PairedTask>& tasks);

/// Mean of candidate minus base with an interval of `level`: clustered where documents share a text, else
/// estimate_difference(). Absent values for a scope without pairs.
Estimate scope_difference(const PairedScope& scope, double level);

/// Of 0/1 scores; nothing for scores with other values.
std::optional<Flips> flips_of(const PairedScope& scope);

/// How many documents the candidate does worse and better on: Flips of any score.
Flips sign_counts(const std::vector<double>& differences);

}  // namespace fathom::results
