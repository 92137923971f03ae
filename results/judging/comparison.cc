#include "results/judging/comparison.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "results/judging/paired_scope.h"
#include "results/statistics/mean.h"
#include "results/statistics/multiple_testing.h"
#include "results/statistics/power.h"

namespace fathom::results {
namespace {

void add_test(const PairedScope& scope, ScopeComparison& row) {
  row.flips = flips_of(scope);
  if (row.flips) {
    row.p = mcnemar_exact(*row.flips);
    row.mid_p = mcnemar_mid_p(*row.flips);
    row.test = "exact McNemar";
    return;
  }
  row.p = paired_t_test(scope.differences);
  row.test = row.p ? "paired t" : "none";
}

ScopeComparison compare_scope(const PairedScope& scope) {
  ScopeComparison row{.scope = scope.scope,
                      .metric = scope.metric,
                      .filter = scope.filter,
                      .headline = scope.headline,
                      .n = static_cast<int64_t>(scope.differences.size()),
                      .n_identical = scope.n_identical,
                      .test = "none"};
  if (scope.differences.empty()) return row;
  row.base = mean_of(scope.base);
  row.cand = mean_of(scope.cand);
  row.difference = scope_difference(scope, kConfidenceLevel);
  add_test(scope, row);
  if (row.difference.se) row.mde = minimum_detectable_effect(*row.difference.se);
  return row;
}

// The tasks of one metric are one family of tests.
void add_q_values(std::vector<ScopeComparison>& scopes) {
  std::map<std::pair<std::string, std::string>, std::vector<ScopeComparison*>> families;
  for (ScopeComparison& row : scopes) {
    if (row.scope.starts_with("task:") && row.p) families[{row.metric, row.filter}].push_back(&row);
  }
  for (auto& [metric, rows] : families) {
    std::vector<double> p_values;
    for (const ScopeComparison* row : rows) p_values.push_back(*row->p);
    const std::vector<double> q_values = benjamini_hochberg(p_values);
    for (size_t i = 0; i < rows.size(); ++i) rows[i]->q = q_values[i];
  }
}

void add_changes(const PairedTask& task, Comparison& comparison) {
  std::map<size_t, double> logprob_changes;
  for (const PairedSeries& series : task.series) {
    if (series.metric != kGoldLogprob) continue;
    for (size_t i = 0; i < series.docs.size(); ++i) {
      logprob_changes[series.docs[i]] = series.cand[i] - series.base[i];
    }
  }
  for (const PairedSeries& series : task.series) {
    if (!series.headline) continue;
    for (size_t i = 0; i < series.docs.size(); ++i) {
      if (series.base[i] == series.cand[i]) continue;
      const PairedDoc& doc = task.docs[series.docs[i]];
      const auto logprob = logprob_changes.find(series.docs[i]);
      Change change{.task = task.name,
                    .doc = doc.key,
                    .target = doc.target,
                    .base = series.base[i],
                    .cand = series.cand[i],
                    .base_answer = doc.base_answer,
                    .cand_answer = doc.cand_answer};
      if (logprob != logprob_changes.end()) change.gold_logprob_change = logprob->second;
      (change.cand < change.base ? comparison.lost : comparison.won).push_back(std::move(change));
    }
  }
}

}  // namespace

Comparison compare_runs(const PairedRuns& runs) {
  Comparison comparison;
  const std::vector<std::string> top_level = top_level_scopes(runs.tasks);
  for (const PairedScope& scope : paired_scopes(runs.tasks)) {
    ScopeComparison row = compare_scope(scope);
    const bool is_top_level = std::find(top_level.begin(), top_level.end(), scope.scope) != top_level.end();
    if (is_top_level && !scope.bounds && row.difference.se) {
      row.bootstrap = bootstrap_mean(scope.differences, scope.clusters, row.bootstrap_options);
    }
    comparison.scopes.push_back(std::move(row));
  }
  add_q_values(comparison.scopes);
  for (const PairedTask& task : runs.tasks) add_changes(task, comparison);
  const auto by_size = [](double sign) {
    return [sign](const Change& a, const Change& b) {
      const auto key = [sign](const Change& c) {
        return std::tuple(sign * (c.cand - c.base), sign * c.gold_logprob_change.value_or(0.0));
      };
      return key(a) < key(b);
    };
  };
  std::stable_sort(comparison.lost.begin(), comparison.lost.end(), by_size(1.0));
  std::stable_sort(comparison.won.begin(), comparison.won.end(), by_size(-1.0));
  comparison.n_unexpected = count_unexpected_changes(runs);
  return comparison;
}

}  // namespace fathom::results
