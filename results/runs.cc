#include "results/runs.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace fathom::results {
namespace {

constexpr int kFlagBits = 32;

std::vector<std::string> texts(const Database& database, std::string_view sql, int64_t run_id) {
  Statement rows = database.prepare(sql);
  std::vector<std::string> all;
  rows.query(run_id);
  while (rows.step()) all.push_back(rows.text(0));
  return all;
}

std::string known_runs(const Database& database) {
  const int64_t n = database.query_int("SELECT count(*) FROM run");
  if (n == 0) return "it holds no runs";
  const int64_t first = database.query_int("SELECT min(run_id) FROM run");
  const int64_t last = database.query_int("SELECT max(run_id) FROM run");
  return fmt::format("it holds {} run{}, {} to {}; see `fathom list runs`", n, n == 1 ? "" : "s", first,
                     last);
}

std::optional<int64_t> whole_number(const std::string& text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<int64_t> run_by_uuid(const Database& database, const std::string& prefix) {
  if (prefix.size() < 8) return std::nullopt;
  return database
      .prepare("SELECT min(run_id) FROM run WHERE substr(run_uuid, 1, ?2) = ?1 HAVING count(*) = 1")
      .find_integer(prefix, prefix.size());
}

}  // namespace

int64_t find_run(const Database& database, const std::string& reference) {
  std::optional<int64_t> found;
  if (reference == "latest") {
    found = database.prepare("SELECT run_id FROM run ORDER BY run_id DESC LIMIT 1").find_integer();
  } else if (const std::optional<int64_t> number = whole_number(reference)) {
    found = database.prepare("SELECT run_id FROM run WHERE run_id = ?").find_integer(*number);
  }
  if (!found) found = run_by_uuid(database, reference);
  if (found) return *found;
  bad_input(database.path().string(), "no run \"{}\" (a number, a UUID or `latest`); {}", reference,
            known_runs(database));
}

RunInfo run_info(const Database& database, int64_t run_id) {
  Statement row = database.prepare(
      "SELECT r.run_id, r.run_uuid, r.name, r.model, r.model_path, r.train_step, r.status, r.why, "
      "r.created_us,"
      "  r.finished_us, c.manifest_sha256, c.dtype, r.plan_sha256, r.plan, r.options"
      " FROM run r LEFT JOIN checkpoint c USING(checkpoint_id) WHERE r.run_id = ?");
  FATHOM_CHECK(row.query(run_id).step(), "run {}", run_id);
  RunInfo info{.run_id = row.integer(0),
               .uuid = row.text(1),
               .name = row.text(2),
               .model = row.text(3),
               .model_path = row.text(4),
               .train_step = row.optional_integer(5),
               .status = run_status_from_name(row.text(6)),
               .why = row.text(7),
               .created_us = row.integer(8),
               .finished_us = row.optional_integer(9),
               .manifest_sha256 = row.optional_digest(10),
               .dtype = row.text(11),
               .plan_sha256 = row.digest(12),
               .plan_json = row.text(13),
               .options_json = row.text(14)};
  info.tags = texts(database, "SELECT tag FROM run_tag WHERE run_id = ? ORDER BY tag", run_id);
  info.tasks = texts(database,
                     "SELECT t.name FROM run_task rt JOIN task t USING(task_id) WHERE rt.run_id = ?"
                     " ORDER BY rt.position",
                     run_id);
  Statement counts = database.prepare(
      "SELECT ifnull(sum(n_docs * n_reps), 0), ifnull(sum(n_stored), 0), ifnull(sum(n_errors), 0)"
      " FROM run_task WHERE run_id = ?");
  FATHOM_CHECK(counts.query(run_id).step());
  info.n_planned = counts.integer(0);
  info.n_stored = counts.integer(1);
  info.n_errors = counts.integer(2);
  return info;
}

int64_t count_unscored(const Database& database, int64_t run_id) {
  Statement row = database.prepare(
      "SELECT (SELECT ifnull(sum(n_errors), 0) FROM run_task WHERE run_id = ?1) +"
      " (SELECT count(*) FROM score WHERE outcome = 2 AND scoring_id IN"
      "   (SELECT max(c.scoring_id) FROM scoring c JOIN run_task rt USING(run_task_id) WHERE rt.run_id = ?1"
      "     AND c.headline = 1 GROUP BY rt.run_task_id))");
  FATHOM_CHECK(row.query(run_id).step());
  return row.integer(0);
}

std::vector<RunInfo> list_runs(const Database& database) {
  Statement rows = database.prepare("SELECT run_id FROM run ORDER BY run_id DESC");
  std::vector<RunInfo> all;
  while (rows.step()) all.push_back(run_info(database, rows.integer(0)));
  return all;
}

std::vector<TaskRates> task_rates(const Database& database, int64_t run_id) {
  Statement rows = database.prepare(
      "SELECT rt.position, t.name, s.flags, count(*), sum(s.status <> 0), count(s.reused_from) FROM run_task "
      "rt"
      " JOIN task t USING(task_id) JOIN sample s USING(run_task_id) WHERE rt.run_id = ?"
      " GROUP BY rt.position, s.flags ORDER BY rt.position");
  std::vector<TaskRates> all;
  int64_t position = -1;
  rows.query(run_id);
  while (rows.step()) {
    if (rows.integer(0) != position) {
      position = rows.integer(0);
      all.push_back({.task = rows.text(1), .n_flagged = std::vector<int64_t>(kFlagBits)});
    }
    TaskRates& rates = all.back();
    rates.n_samples += rows.integer(3);
    rates.n_errors += rows.integer(4);
    rates.n_reused += rows.integer(5);
    for (int bit = 0; bit < kFlagBits; ++bit) {
      if (rows.integer(2) >> bit & 1) rates.n_flagged[static_cast<size_t>(bit)] += rows.integer(3);
    }
  }
  return all;
}

}  // namespace fathom::results
