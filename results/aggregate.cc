#include "results/aggregate.h"

#include <algorithm>

#include "base/clock.h"
#include "results/series.h"
#include "results/statistics/mean.h"
#include "results/statistics/strata.h"

namespace fathom::results {
namespace {

MetricRecord metric_of(const Estimate& estimate, std::string scope, const Series& series,
                       std::string estimator, int64_t n_planned) {
  return {.scope = std::move(scope),
          .name = series.name,
          .filter = series.filter,
          .estimator = std::move(estimator),
          .value = estimate.value,
          .n = estimate.n,
          .n_missing = n_planned - estimate.n,
          .n_clusters = estimate.n_clusters,
          .se = estimate.se,
          .se_method = estimate.se_method,
          .ci_low = estimate.ci_low,
          .ci_high = estimate.ci_high,
          .ci_level = kConfidenceLevel,
          .ci_method = estimate.ci_method,
          .headline = series.headline};
}

MetricRecord task_metric(const Series& series) {
  const Estimate estimate = estimate_mean(series.values, series.clusters, series.bounds);
  MetricRecord metric = metric_of(estimate, "task:" + series.task, series, "mean", series.n_planned);
  metric.lmeval_se = lmeval_sample_se(series.values);
  if (metric.lmeval_se) metric.lmeval_se_method = "lm-eval mean_stderr";
  return metric;
}

// The series of a group's tasks under one metric and filter.
struct GroupSeries {
  std::vector<const Series*> members;

  std::vector<Stratum> strata() const {
    std::vector<Stratum> strata;
    for (const Series* series : members) strata.push_back({series->values, series->clusters});
    return strata;
  }
  int64_t n_planned() const {
    int64_t n = 0;
    for (const Series* series : members) n += series->n_planned;
    return n;
  }
};

std::vector<std::string> group_names(const std::vector<Series>& all) {
  std::vector<std::string> names;
  for (const Series& series : all) {
    for (const std::string& group : series.groups) {
      if (std::find(names.begin(), names.end(), group) == names.end()) names.push_back(group);
    }
  }
  return names;
}

bool belongs(const Series& series, const std::string& group) {
  return std::find(series.groups.begin(), series.groups.end(), group) != series.groups.end();
}

// The metrics that every task of the group has; one that only some tasks know has no group value.
std::vector<GroupSeries> series_of_group(const std::vector<Series>& all, const std::string& group) {
  std::vector<size_t> positions;
  std::vector<GroupSeries> grouped;
  for (const Series& series : all) {
    if (!belongs(series, group)) continue;
    if (positions.empty() || positions.back() != series.position) positions.push_back(series.position);
    auto same = [&](const GroupSeries& g) {
      return g.members[0]->name == series.name && g.members[0]->filter == series.filter;
    };
    const auto found = std::find_if(grouped.begin(), grouped.end(), same);
    if (found != grouped.end()) {
      found->members.push_back(&series);
    } else {
      grouped.push_back({{&series}});
    }
  }
  std::erase_if(grouped, [&](const GroupSeries& g) { return g.members.size() != positions.size(); });
  return grouped;
}

void add_group_metrics(const GroupSeries& group, const std::string& name,
                       std::vector<MetricRecord>& metrics) {
  const std::vector<Stratum> strata = group.strata();
  const Series& first = *group.members[0];
  MetricRecord micro =
      metric_of(estimate_micro(strata, first.bounds), "group:" + name, first, "micro", group.n_planned());
  micro.lmeval_se = lmeval_pooled_se(strata);
  if (micro.lmeval_se) micro.lmeval_se_method = "lm-eval pooled_sample_stderr";
  MetricRecord macro =
      metric_of(estimate_macro(strata, first.bounds), "group:" + name, first, "macro", group.n_planned());
  macro.headline = false;
  metrics.push_back(std::move(micro));
  metrics.push_back(std::move(macro));
}

}  // namespace

std::vector<MetricRecord> compute_metrics(const Database& database, int64_t run_id) {
  const std::vector<Series> all = load_series(database, run_id);
  std::vector<MetricRecord> metrics;
  for (const std::string& name : group_names(all)) {
    for (const GroupSeries& group : series_of_group(all, name)) add_group_metrics(group, name, metrics);
  }
  for (const Series& series : all) metrics.push_back(task_metric(series));
  return metrics;
}

void store_metrics(Database& database, int64_t run_id) {
  database.prepare("DELETE FROM metric WHERE run_id = ?").run(run_id);
  Statement insert = database.prepare(
      "INSERT INTO metric(run_id, scope, name, filter, estimator, value, n, n_missing, n_clusters, se, "
      "se_method,"
      "  ci_low, ci_high, ci_level, ci_method, lmeval_se, lmeval_se_method, boot_draws, boot_seed, headline,"
      "  position, computed_us)"
      " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  int64_t position = 0;
  for (const MetricRecord& m : compute_metrics(database, run_id)) {
    insert.run(run_id, m.scope, m.name, m.filter, m.estimator, m.value, m.n, m.n_missing, m.n_clusters, m.se,
               m.se_method, m.ci_low, m.ci_high, m.ci_level, m.ci_method, m.lmeval_se,
               m.lmeval_se ? std::optional(m.lmeval_se_method) : std::nullopt, m.boot_draws, m.boot_seed,
               m.headline, position++, unix_time_us());
  }
}

std::vector<MetricRecord> load_metrics(const Database& database, int64_t run_id) {
  Statement rows = database.prepare(
      "SELECT scope, name, filter, estimator, value, n, n_missing, n_clusters, se, se_method, ci_low, "
      "ci_high,"
      "  ci_level, ci_method, lmeval_se, lmeval_se_method, boot_draws, boot_seed, headline"
      " FROM metric WHERE run_id = ? ORDER BY position");
  std::vector<MetricRecord> metrics;
  rows.query(run_id);
  while (rows.step()) {
    metrics.push_back({.scope = rows.text(0),
                       .name = rows.text(1),
                       .filter = rows.text(2),
                       .estimator = rows.text(3),
                       .value = rows.optional_real(4),
                       .n = rows.integer(5),
                       .n_missing = rows.integer(6),
                       .n_clusters = rows.optional_integer(7),
                       .se = rows.optional_real(8),
                       .se_method = rows.text(9),
                       .ci_low = rows.optional_real(10),
                       .ci_high = rows.optional_real(11),
                       .ci_level = rows.real(12),
                       .ci_method = rows.text(13),
                       .lmeval_se = rows.optional_real(14),
                       .lmeval_se_method = rows.text(15),
                       .boot_draws = rows.optional_integer(16),
                       .boot_seed = rows.optional_integer(17),
                       .headline = rows.integer(18) != 0});
  }
  return metrics;
}

}  // namespace fathom::results
