#include "results/check.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/error.h"
#include "results/aggregate.h"
#include "results/records.h"

namespace fathom::results {
namespace {

// Sums in another order may differ in the last bits; a wrong or missing score differs by 1/n.
constexpr double kSameValue = 1e-12;

auto key_of(const MetricRecord& metric) {
  return std::tie(metric.scope, metric.name, metric.filter, metric.estimator);
}

class Checker {
 public:
  explicit Checker(const Database& database) : database_(database) {}

  CheckReport run() {
    try {
      check_file();
      // Content is only worth a look in a file that SQLite can read.
      if (report_.problems.empty()) check_content();
    } catch (const nlohmann::json::exception& error) {
      add(fmt::format("a column of JSON has not the form that it should have ({})", error.what()));
    } catch (const Error& error) {
      add(error.message());
    }
    if (n_found_ > kMostProblems) {
      report_.problems.push_back(fmt::format("and {} more", n_found_ - kMostProblems));
    }
    return std::move(report_);
  }

 private:
  void add(std::string problem) {
    if (++n_found_ <= kMostProblems) report_.problems.push_back(std::move(problem));
  }

  void check_file() {
    Statement integrity = database_.prepare("PRAGMA integrity_check");
    while (integrity.step()) {
      if (integrity.text(0) != "ok") add("file: " + integrity.text(0));
    }
    if (!report_.problems.empty()) return;
    Statement dangling = database_.prepare("PRAGMA foreign_key_check");
    while (dangling.step()) {
      add(fmt::format("{}: row {} refers to a row of {} that is missing", dangling.text(0), dangling.text(1),
                      dangling.text(2)));
    }
  }

  void check_content() {
    report_.n_runs = database_.query_int("SELECT count(*) FROM run");
    report_.n_samples = database_.query_int("SELECT count(*) FROM sample");
    check_hashes("text", "SELECT text_id, sha256, content FROM text");
    check_hashes("task", "SELECT task_id, spec_sha256, spec FROM task");
    check_hashes("policy",
                 "SELECT substr(lower(hex(policy_sha256)), 1, 12), policy_sha256, content FROM policy");
    check_hashes("run", "SELECT run_id, plan_sha256, plan FROM run");
    check_none("prompt {}: its text has another hash",
               "SELECT prompt_id FROM prompt p JOIN text t USING(text_id) WHERE t.sha256 <> p.text_sha256");
    check_manifests();
    check_samples();
    Statement runs = database_.prepare("SELECT run_id FROM run ORDER BY run_id");
    while (runs.step()) check_run(runs.integer(0));
  }

  // Rows of `sql`: id, the hash that names the content, the content.
  void check_hashes(const char* table, const char* sql) {
    Statement rows = database_.prepare(sql);
    while (rows.step()) {
      if (rows.digest(1) != sha256(rows.text(2)))
        add(fmt::format("{} {}: its content has another hash", table, rows.text(0)));
    }
  }

  // `sql` finds the ids of rows that should not be there.
  void check_none(const char* problem, const char* sql) {
    Statement rows = database_.prepare(sql);
    while (rows.step()) add(fmt::format(fmt::runtime(problem), rows.text(0)));
  }

  void check_manifests() {
    Statement checkpoints = database_.prepare("SELECT checkpoint_id, manifest_sha256 FROM checkpoint");
    Statement files =
        database_.prepare("SELECT path, size_bytes, sha256 FROM checkpoint_file WHERE checkpoint_id = ?");
    while (checkpoints.step()) {
      std::vector<FileIdentity> all;
      files.query(checkpoints.integer(0));
      while (files.step()) all.push_back({files.text(0), files.integer(1), files.digest(2)});
      if (manifest_sha256(all) != checkpoints.digest(1)) {
        add(fmt::format("checkpoint {}: its files have another manifest hash", checkpoints.integer(0)));
      }
    }
  }

  void check_samples() {
    check_none(
        "sample {}: its document is not of the task's data set",
        "SELECT s.sample_id FROM sample s JOIN run_task rt USING(run_task_id) JOIN task t USING(task_id)"
        " JOIN doc d USING(doc_id) WHERE d.dataset_id <> t.dataset_id");
    check_none("sample {}: a repeat that was not planned",
               "SELECT s.sample_id FROM sample s JOIN run_task rt USING(run_task_id)"
               " WHERE s.rep < 0 OR s.rep >= rt.n_reps");
    check_none(
        "sample {}: its columns of text are missing",
        "SELECT s.sample_id FROM sample s LEFT JOIN sample_io i USING(sample_id) WHERE i.sample_id IS NULL");
    check_none("sample {}: a score has a value exactly when it is no error",
               "SELECT sample_id FROM score WHERE (value IS NULL) <> (outcome = 2)");
    check_none(
        "sample {}: a score of another task's scorer",
        "SELECT s.sample_id FROM score c JOIN sample s USING(sample_id) JOIN scoring g USING(scoring_id)"
        " WHERE g.run_task_id <> s.run_task_id");
    check_none("sample {}: an answer without a score of the newest version of a scorer",
               "SELECT s.sample_id FROM sample s JOIN scoring g USING(run_task_id)"
               " LEFT JOIN score c ON c.scoring_id = g.scoring_id AND c.sample_id = s.sample_id"
               " WHERE s.status = 0 AND c.sample_id IS NULL AND g.scoring_id ="
               "  (SELECT max(n.scoring_id) FROM scoring n WHERE n.run_task_id = g.run_task_id"
               "   AND n.metric = g.metric AND n.filter = g.filter)");
  }

  void check_run(int64_t run_id) {
    Statement tasks = database_.prepare(
        "SELECT t.name, rt.n_docs * rt.n_reps, rt.n_stored, rt.n_errors,"
        "  (SELECT count(*) FROM sample s WHERE s.run_task_id = rt.run_task_id),"
        "  (SELECT count(*) FROM sample s WHERE s.run_task_id = rt.run_task_id AND s.status <> 0), "
        "rt.run_task_id,"
        "  rt.position, r.status = 'complete', r.plan FROM run_task rt JOIN run r USING(run_id)"
        " JOIN task t USING(task_id) WHERE rt.run_id = ? ORDER BY rt.position");
    tasks.query(run_id);
    while (tasks.step()) {
      const std::string where = fmt::format("run {}, {}", run_id, tasks.text(0));
      const int64_t n_planned = tasks.integer(1);
      const int64_t n_samples = tasks.integer(4);
      if (tasks.integer(2) != n_samples || tasks.integer(3) != tasks.integer(5)) {
        add(fmt::format("{}: its counters say {} samples and {} errors, it has {} and {}", where,
                        tasks.integer(2), tasks.integer(3), n_samples, tasks.integer(5)));
      }
      if (tasks.integer(8) == 0) continue;
      if (n_samples != n_planned) {
        add(fmt::format("{}: complete with {} of {} samples", where, n_samples, n_planned));
      } else {
        check_documents(where, tasks.integer(6), tasks.integer(7), tasks.text(9));
      }
    }
    check_end(run_id);
  }

  // The documents answered are those that the plan names by hash.
  void check_documents(const std::string& where, int64_t run_task_id, int64_t position,
                       const std::string& plan_text) {
    const nlohmann::json plan = nlohmann::json::parse(plan_text, nullptr, false);
    const nlohmann::json::json_pointer place(fmt::format("/tasks/{}/docs", position));
    if (plan.is_discarded() || !plan.contains(place) || !plan.at(place).is_string()) {
      add(where + ": its plan has no such task");
      return;
    }
    Statement docs = database_.prepare(
        "SELECT DISTINCT d.ordinal, d.sha256 FROM sample s JOIN doc d USING(doc_id) WHERE s.run_task_id = ?"
        " ORDER BY d.ordinal");
    Sha256 hash;
    docs.query(run_task_id);
    while (docs.step()) hash.update(fmt::format("{} {}\n", docs.integer(0), to_hex(docs.digest(1))));
    if (to_hex(hash.finish()) != plan.at(place).get<std::string>()) {
      add(where + ": the answered documents are not those of the plan");
    }
  }

  void check_end(int64_t run_id) {
    Statement end =
        database_.prepare("SELECT status = 'complete', checkpoint_id IS NULL FROM run WHERE run_id = ?");
    FATHOM_CHECK(end.query(run_id).step());
    if (end.integer(0) == 0) return;
    if (end.integer(1) != 0) add(fmt::format("run {}: complete, but its weights have no hash", run_id));
    const std::vector<MetricRecord> stored = load_metrics(database_, run_id);
    const std::vector<MetricRecord> computed = compute_metrics(database_, run_id);
    if (stored.empty() != computed.empty()) {
      add(fmt::format("run {}: {} metrics stored, its scores give {}", run_id, stored.size(),
                      computed.size()));
    }
    // Another version of fathom may have stored fewer or more of them.
    for (const MetricRecord& one : stored) {
      for (const MetricRecord& other : computed) {
        if (key_of(one) == key_of(other)) check_metric(run_id, one, other);
      }
    }
  }

  void check_metric(int64_t run_id, const MetricRecord& stored, const MetricRecord& computed) {
    const bool same_value = stored.value.has_value() == computed.value.has_value() &&
                            std::abs(stored.value.value_or(0.0) - computed.value.value_or(0.0)) <= kSameValue;
    if (same_value && stored.n == computed.n && stored.n_missing == computed.n_missing) return;
    add(fmt::format("run {}, {} {}: the stored value {} over {} is not what the scores give, {} over {}",
                    run_id, stored.scope, stored.name, stored.value.value_or(NAN), stored.n,
                    computed.value.value_or(NAN), computed.n));
  }

  const Database& database_;
  CheckReport report_;
  size_t n_found_ = 0;
};

}  // namespace

CheckReport check_database(const Database& database) {
  return Checker(database).run();
}

}  // namespace fathom::results
