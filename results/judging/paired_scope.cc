#include "results/judging/paired_scope.h"

#include <algorithm>
#include <span>

#include "base/error.h"
#include "results/statistics/mean.h"

namespace fathom::results {
namespace {

PairedScope frame(std::string scope, const PairedSeries& series) {
  return {.scope = std::move(scope),
          .metric = series.metric,
          .filter = series.filter,
          .headline = series.headline,
          .bounds = series.bounds};
}

std::vector<std::string> clusters_of(const PairedTask& task, const PairedSeries& series) {
  std::vector<std::string> clusters;
  for (size_t doc : series.docs) clusters.push_back(task.clusters[doc]);
  return clusters;
}

struct Member {
  const PairedTask* task = nullptr;
  const PairedSeries* series = nullptr;
};

// A task's clusters count only where some of its documents share one; a document that shares no text is then
// a cluster of its own.
void add_clusters(std::span<const Member> members, PairedScope& scope) {
  std::vector<std::vector<std::string>> clusters;
  for (const Member& member : members) clusters.push_back(clusters_of(*member.task, *member.series));
  if (std::none_of(clusters.begin(), clusters.end(), [](const auto& names) { return share_clusters(names); }))
    return;
  for (size_t k = 0; k < members.size(); ++k) {
    const bool shared = share_clusters(clusters[k]);
    for (size_t i = 0; i < clusters[k].size(); ++i) {
      scope.clusters.push_back(fmt::format("{}{}{}", members[k].task->name, shared ? "/" : "#",
                                           shared ? clusters[k][i] : std::to_string(i)));
    }
  }
}

PairedScope pool(std::string name, std::span<const Member> members) {
  PairedScope scope = frame(std::move(name), *members.front().series);
  for (const auto& [task, series] : members) {
    for (size_t i = 0; i < series->docs.size(); ++i) {
      scope.base.push_back(series->base[i]);
      scope.cand.push_back(series->cand[i]);
      scope.differences.push_back(series->cand[i] - series->base[i]);
      scope.n_identical += task->docs[series->docs[i]].identical;
    }
  }
  add_clusters(members, scope);
  return scope;
}

const PairedSeries* find_series(const PairedTask& task, const PairedSeries& like) {
  for (const PairedSeries& series : task.series) {
    if (series.metric == like.metric && series.filter == like.filter) return &series;
  }
  return nullptr;
}

std::vector<std::string> group_names(const std::vector<PairedTask>& tasks) {
  std::vector<std::string> names;
  for (const PairedTask& task : tasks) {
    for (const std::string& group : task.groups) {
      if (std::find(names.begin(), names.end(), group) == names.end()) names.push_back(group);
    }
  }
  return names;
}

void add_group(const std::vector<PairedTask>& tasks, const std::string& name,
               std::vector<PairedScope>& scopes) {
  std::vector<const PairedTask*> members;
  for (const PairedTask& task : tasks) {
    if (std::find(task.groups.begin(), task.groups.end(), name) != task.groups.end())
      members.push_back(&task);
  }
  for (const PairedSeries& series : members.front()->series) {
    std::vector<Member> same;
    for (const PairedTask* member : members) {
      if (const PairedSeries* own = find_series(*member, series)) same.push_back({member, own});
    }
    if (same.size() == members.size()) scopes.push_back(pool("group:" + name, same));
  }
}

}  // namespace

std::vector<PairedScope> paired_scopes(const std::vector<PairedTask>& tasks) {
  std::vector<PairedScope> scopes;
  for (const std::string& name : group_names(tasks)) add_group(tasks, name, scopes);
  for (const PairedTask& task : tasks) {
    for (const PairedSeries& series : task.series) {
      const Member alone[] = {{&task, &series}};
      scopes.push_back(pool("task:" + task.name, alone));
    }
  }
  return scopes;
}

std::vector<std::string> top_level_scopes(const std::vector<PairedTask>& tasks) {
  std::vector<std::string> scopes;
  for (const PairedTask& task : tasks) {
    const std::string scope = task.groups.empty() ? "task:" + task.name : "group:" + task.groups.front();
    if (std::find(scopes.begin(), scopes.end(), scope) == scopes.end()) scopes.push_back(scope);
  }
  return scopes;
}

Estimate scope_difference(const PairedScope& scope, double level) {
  if (!scope.clusters.empty()) {
    const Estimate clustered = estimate_clustered_difference(scope.differences, scope.clusters, level);
    if (clustered.se) return clustered;
  }
  return estimate_difference(scope.differences, scope.bounds, level);
}

std::optional<Flips> flips_of(const PairedScope& scope) {
  const auto binary = [](double value) { return value == 0.0 || value == 1.0; };
  const bool unit = scope.bounds && scope.bounds->low == 0.0 && scope.bounds->high == 1.0;
  if (!unit || !std::all_of(scope.base.begin(), scope.base.end(), binary) ||
      !std::all_of(scope.cand.begin(), scope.cand.end(), binary)) {
    return std::nullopt;
  }
  return sign_counts(scope.differences);
}

Flips sign_counts(const std::vector<double>& differences) {
  Flips flips{.n = static_cast<int64_t>(differences.size())};
  for (double d : differences) {
    flips.lost += d < 0.0;
    flips.won += d > 0.0;
  }
  return flips;
}

}  // namespace fathom::results
