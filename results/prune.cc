#include "results/prune.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "results/migrations.h"

namespace fathom::results {
namespace {

// In an order in which nothing is deleted that a row of a later line refers to.
constexpr const char* kUnused[] = {
    "DELETE FROM prompt WHERE prompt_id NOT IN (SELECT prompt_id FROM sample)",
    "DELETE FROM text WHERE text_id NOT IN (SELECT text_id FROM prompt WHERE text_id IS NOT NULL)",
    "DELETE FROM sandbox_policy WHERE policy_sha256 NOT IN (SELECT policy_sha256 FROM sandbox_verdict)",
    "DELETE FROM policy WHERE policy_sha256 NOT IN (SELECT policy_sha256 FROM verdict)",
    "DELETE FROM task WHERE task_id NOT IN (SELECT task_id FROM run_task)",
    "DELETE FROM doc WHERE dataset_id NOT IN (SELECT dataset_id FROM task)",
    "DELETE FROM dataset WHERE dataset_id NOT IN (SELECT dataset_id FROM task)",
    "DELETE FROM checkpoint_file WHERE checkpoint_id NOT IN (SELECT checkpoint_id FROM run WHERE "
    "checkpoint_id IS NOT NULL)",
    "DELETE FROM checkpoint WHERE checkpoint_id NOT IN (SELECT checkpoint_id FROM run WHERE checkpoint_id IS "
    "NOT NULL)",
    "DELETE FROM tokenizer WHERE tokenizer_id NOT IN (SELECT tokenizer_id FROM run)",
    "DELETE FROM build WHERE build_id NOT IN (SELECT build_id FROM run_attempt UNION SELECT build_id FROM "
    "bench)",
    "DELETE FROM machine WHERE machine_id NOT IN"
    " (SELECT machine_id FROM run_attempt UNION SELECT machine_id FROM bench)",
};

// Names under which a run is a baseline, in quotes and joined; empty when it is none.
std::string baseline_names(const Database& database, int64_t run_id) {
  Statement rows = database.prepare("SELECT name FROM baseline WHERE run_id = ? ORDER BY name");
  std::string names;
  rows.query(run_id);
  while (rows.step()) names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", rows.text(0));
  return names;
}

bool meets(const RunInfo& run, const PruneChoice& choice) {
  if (!choice.created_before_us && !choice.only_incomplete) return false;
  return (!choice.created_before_us || run.created_us < *choice.created_before_us) &&
         (!choice.only_incomplete || run.status != RunStatus::kComplete);
}

int64_t size_of(const Database& database) {
  return database.query_int("PRAGMA page_count") * database.query_int("PRAGMA page_size");
}

// Looking up what refers to each deleted row would read all samples once a prompt; the sets above are read
// once, and the whole file is checked before the commit instead.
void delete_unused(Database& database) {
  database.execute("PRAGMA foreign_keys = OFF");
  {
    Transaction transaction(database);
    for (const char* sql : kUnused) database.execute(sql);
    check_integrity(database);
    transaction.commit();
  }
  database.execute("PRAGMA foreign_keys = ON");
}

}  // namespace

PrunePlan plan_prune(const Database& database, const PruneChoice& choice) {
  if (choice.run_ids.empty() && !choice.created_before_us && !choice.only_incomplete) {
    throw Error(ErrorKind::kUsage,
                "nothing chosen to delete; name runs, or give --older-than DAYS or --incomplete");
  }
  const std::set<int64_t> named(choice.run_ids.begin(), choice.run_ids.end());
  PrunePlan plan;
  for (RunInfo& run : list_runs(database)) {
    if (!named.contains(run.run_id) && !meets(run, choice)) continue;
    const std::string baseline = baseline_names(database, run.run_id);
    if (baseline.empty()) {
      plan.runs.push_back(std::move(run));
    } else if (named.contains(run.run_id)) {
      bad_input(database.path().string(),
                "run {} is the baseline {}; set that to another run first, nothing was deleted", run.run_id,
                baseline);
    } else {
      plan.kept.push_back(fmt::format("run {}: baseline {}", run.run_id, baseline));
    }
  }
  std::reverse(plan.runs.begin(), plan.runs.end());
  return plan;
}

PruneResult prune(Database& database, const PrunePlan& plan) {
  PruneResult result{.bytes_before = size_of(database)};
  if (!plan.runs.empty()) {
    Statement erase = database.prepare("DELETE FROM run WHERE run_id = ?");  // its rows follow it
    for (const RunInfo& run : plan.runs) erase.run(run.run_id);
  }
  delete_unused(database);
  database.execute("VACUUM");
  result.bytes_after = size_of(database);
  return result;
}

}  // namespace fathom::results
