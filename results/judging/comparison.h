// `fathom compare`: what changed between two runs, with intervals and tests. Pure functions of the paired
// documents.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "results/judging/paired_runs.h"
#include "results/statistics/bootstrap.h"
#include "results/statistics/paired.h"

namespace fathom::results {

/// One task or group under one metric.
struct ScopeComparison {
  std::string scope;
  std::string metric;
  std::string filter;
  bool headline = false;
  int64_t n = 0;            ///< paired documents
  int64_t n_identical = 0;  ///< of those, with answers equal bit for bit
  std::optional<double> base;
  std::optional<double> cand;
  Estimate difference;          ///< candidate minus base, 95 %
  std::optional<Flips> flips;   ///< of 0/1 scores
  std::optional<double> p;      ///< two-sided, that nothing changed
  std::string test;             ///< "exact McNemar", "paired t", "none"
  std::optional<double> mid_p;  ///< McNemar's mid-p
  std::optional<double> q;      ///< Benjamini-Hochberg over the tasks, per metric
  std::optional<double> mde;    ///< smallest true change that this comparison finds with 80 % probability
  /// Percentile bootstrap, for metrics without limits, whose tails nothing is known about; top-level scopes
  /// only.
  std::optional<BootstrapResult> bootstrap;
  BootstrapOptions bootstrap_options;
};

/// A document whose headline score changed.
struct Change {
  std::string task;
  std::string doc;
  std::string target;
  double base = 0.0;
  double cand = 0.0;
  std::string base_answer;
  std::string cand_answer;
  std::optional<double> gold_logprob_change;
};

struct Comparison {
  std::vector<ScopeComparison> scopes;  ///< groups, then tasks
  std::vector<Change> lost;  ///< worse in the candidate; largest fall of score, then of gold_logprob, first
  std::vector<Change> won;   ///< better, largest rise first
  std::optional<int64_t> n_unexpected;  ///< count_unexpected_changes()
};

Comparison compare_runs(const PairedRuns& runs);

}  // namespace fathom::results
