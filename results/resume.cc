#include "results/resume.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "results/plan.h"

namespace fathom::results {
namespace {

using nlohmann::json;

constexpr size_t kDifferencesShown = 8;

// A stored run as far as resuming looks at it.
struct StoredRun {
  int64_t run_id = 0;
  RunStatus status = RunStatus::kRunning;
  std::string name;
  std::string model_path;
  std::string plan;
  std::string weights;
  std::optional<Sha256Digest> manifest;
  int64_t n_planned = 0;
  int64_t n_answered = 0;
};

constexpr const char* kStoredRuns =
    "SELECT r.run_id, r.status, r.name, r.model_path, r.plan, r.weights, c.manifest_sha256,"
    "  (SELECT ifnull(sum(n_docs * n_reps), 0) FROM run_task t WHERE t.run_id = r.run_id),"
    "  (SELECT ifnull(sum(n_stored - n_errors), 0) FROM run_task t WHERE t.run_id = r.run_id)"
    " FROM run r LEFT JOIN checkpoint c USING(checkpoint_id) ";

StoredRun stored_run(const Statement& row) {
  return {.run_id = row.integer(0),
          .status = run_status_from_name(row.text(1)),
          .name = row.text(2),
          .model_path = row.text(3),
          .plan = row.text(4),
          .weights = row.text(5),
          .manifest = row.optional_digest(6),
          .n_planned = row.integer(7),
          .n_answered = row.integer(8)};
}

SameWeights same_weights(const StoredRun& stored, const RunRecord& run) {
  const CheckpointRecord& checkpoint = run.checkpoint;
  if (stored.manifest && !checkpoint.files.empty()) {
    return *stored.manifest == manifest_sha256(checkpoint.files) ? SameWeights::kYes : SameWeights::kNo;
  }
  // Same paths, sizes, times and inodes: the rule by which the hash cache takes a file as known.
  if (stored.model_path == checkpoint.path && stored.weights == weights_json(checkpoint.weights)) {
    return SameWeights::kYes;
  }
  return stored.manifest ? SameWeights::kUnknown : SameWeights::kNo;
}

std::string brief(const json& value) {
  std::string text = value.dump();
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

// A list as an object: tasks are matched by name, so that one task more is one difference and not fifty.
json by_key(const json& list, const char* key) {
  json named = json::object();
  for (const json& entry : list) named[entry.at(key).get<std::string>()] = entry;
  return named;
}

void collect_differences(const std::string& path, const json& there, const json& here,
                         std::vector<PlanDifference>& all) {
  if (there == here) return;
  if (!there.is_object() || !here.is_object()) {
    all.push_back({path, brief(there), brief(here)});
    return;
  }
  std::set<std::string> keys;
  for (const auto& [key, value] : there.items()) keys.insert(key);
  for (const auto& [key, value] : here.items()) keys.insert(key);
  for (const std::string& key : keys) {
    const std::string inner = path.empty() ? key : path + "." + key;
    if (!there.contains(key)) {
      all.push_back({inner, std::nullopt, brief(here.at(key))});
    } else if (!here.contains(key)) {
      all.push_back({inner, brief(there.at(key)), std::nullopt});
    } else {
      collect_differences(inner, there.at(key), here.at(key), all);
    }
  }
}

// "numerics.dtype: \"bf16\" there, \"fp32\" here"
std::vector<std::string> lines_of(const std::vector<PlanDifference>& differences) {
  std::vector<std::string> lines;
  for (const PlanDifference& d : differences) {
    lines.push_back(!d.there  ? d.path + ": only here"
                    : !d.here ? d.path + ": only there"
                              : fmt::format("{}: {} there, {} here", d.path, *d.there, *d.here));
  }
  return lines;
}

std::set<std::string> task_names(const std::string& plan) {
  std::set<std::string> names;
  const json parsed = json::parse(plan);
  for (const json& task : parsed.at("tasks")) names.insert(task.at("name").get<std::string>());
  return names;
}

json without_tasks(const std::string& plan) {
  json context = json::parse(plan);
  context.erase("tasks");
  return context;
}

// "weights.model.safetensors: size 2000 there, 2004 here"
std::vector<std::string> weight_differences(const std::string& stored, const RunRecord& run) {
  const json there = by_key(json::parse(stored), "path");
  const json here = by_key(json::parse(weights_json(run.checkpoint.weights)), "path");
  std::vector<PlanDifference> all;
  collect_differences("weights", there, here, all);
  if (all.empty()) return {"weights: the content of the tensor files"};
  return lines_of(all);
}

bool is_unfinished(const StoredRun& stored) {
  return stored.status != RunStatus::kComplete || stored.n_answered < stored.n_planned;
}

[[noreturn]] void refuse(const StoredRun& stored, std::vector<std::string> differences) {
  const size_t n = differences.size();
  differences.resize(std::min(n, kDifferencesShown));
  if (n > kDifferencesShown) differences.push_back(fmt::format("and {} more", n - kDifferencesShown));
  throw Error(
      ErrorKind::kUsage,
      fmt::format(
          "run {} of the same tasks on the same model stopped after {} of {} samples, and this run "
          "differs from it:\n  {}\nGive the same options to continue it, or --fresh to begin a new run",
          stored.run_id, stored.n_answered, stored.n_planned, fmt::join(differences, "\n  ")));
}

// The newest unfinished run that the user could mean by this command, though its plan is another. One without
// a single answer is not worth a word.
void refuse_if_meant_to_continue(const Database& database, const RunRecord& run, const std::string& plan) {
  Statement rows =
      database.prepare(std::string(kStoredRuns) +
                       "WHERE r.status IN ('interrupted', 'failed') AND r.name = ? AND r.model_path = ?"
                       " ORDER BY r.run_id DESC");
  rows.query(run.name, run.checkpoint.path);
  while (rows.step()) {
    const StoredRun stored = stored_run(rows);
    if (stored.n_answered == 0 || task_names(stored.plan) != task_names(plan)) continue;
    std::vector<std::string> differences = lines_of(plan_differences(stored.plan, plan));
    if (differences.empty()) differences = weight_differences(stored.weights, run);
    refuse(stored, std::move(differences));
  }
}

}  // namespace

std::vector<PlanDifference> plan_differences(const std::string& there, const std::string& here) {
  json first = json::parse(there);
  json second = json::parse(here);
  first["tasks"] = by_key(first.at("tasks"), "name");
  second["tasks"] = by_key(second.at("tasks"), "name");
  std::vector<PlanDifference> all;
  collect_differences("", first, second, all);
  return all;
}

ResumeDecision decide_resume(const Database& database, const RunRecord& run) {
  const std::string plan = canonical_plan(run);
  Statement rows =
      database.prepare(std::string(kStoredRuns) + "WHERE r.plan_sha256 = ? ORDER BY r.run_id DESC");
  ResumeDecision decision;
  rows.query(sha256(plan));
  while (rows.step()) {
    const StoredRun stored = stored_run(rows);
    const SameWeights same = same_weights(stored, run);
    if (same == SameWeights::kUnknown) decision.needs_hashes = true;
    if (same != SameWeights::kYes) continue;
    return {.run_id = stored.run_id, .complete = !is_unfinished(stored)};
  }
  if (!decision.needs_hashes) refuse_if_meant_to_continue(database, run, plan);
  return decision;
}

std::vector<int64_t> runs_with_same_context(const Database& database, const RunRecord& run, int64_t except) {
  const json context = without_tasks(canonical_plan(run));
  Statement rows = database.prepare(std::string(kStoredRuns) + "WHERE r.run_id <> ? ORDER BY r.run_id DESC");
  std::vector<int64_t> ids;
  rows.query(except);
  while (rows.step()) {
    const StoredRun stored = stored_run(rows);
    if (same_weights(stored, run) == SameWeights::kYes && without_tasks(stored.plan) == context) {
      ids.push_back(stored.run_id);
    }
  }
  return ids;
}

}  // namespace fathom::results
