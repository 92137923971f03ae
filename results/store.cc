#include "results/store.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/clock.h"
#include "base/error.h"
#include "results/aggregate.h"
#include "results/identity_rows.h"
#include "results/plan.h"
#include "results/resume.h"
#include "results/reuse.h"
#include "results/sample_writer.h"
#include "results/schema.h"
#include "results/scoring_rows.h"
#include "results/writer_lock.h"

namespace fathom::results {
namespace {

// A random (version 4) UUID.
std::string new_uuid() {
  std::array<uint8_t, 16> bytes;
  FATHOM_CHECK(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string uuid;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) uuid += '-';
    uuid += fmt::format("{:02x}", bytes[i]);
  }
  return uuid;
}

WrittenTask insert_task(Database& database, const TaskRecord& task, int64_t run_id, size_t position) {
  const int64_t dataset_id = dataset_row(database, task.dataset);
  Statement insert = database.prepare(
      "INSERT INTO run_task(run_id, position, task_id, n_docs, n_reps, groups) VALUES(?, ?, ?, ?, ?, ?)");
  insert.run(run_id, position, task_row(database, task, dataset_id), task.docs.size(), task.n_reps,
             nlohmann::json(task.groups).dump());
  const int64_t run_task_id = database.last_insert_rowid();
  return {.run_task_id = run_task_id,
          .name = task.name,
          .n_reps = task.n_reps,
          .doc_ids = doc_rows(database, task.docs, dataset_id),
          .scoring_ids = insert_scorings(database, task.scorings, run_task_id),
          .scorings = task.scorings};
}

int64_t insert_run(Database& database, const RunRecord& run, const std::string& uuid) {
  const std::string plan = canonical_plan(run);
  database
      .prepare(
          "INSERT INTO run(run_uuid, plan_sha256, plan, weights, tokenizer_id, model, model_path, train_step,"
          "  name, options, status, created_us) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?)")
      .run(uuid, sha256(plan), plan, weights_json(run.checkpoint.weights),
           tokenizer_row(database, run.tokenizer), run.checkpoint.model, run.checkpoint.path,
           run.checkpoint.train_step, run.name, canonical_json(run.options_json, "options of the run"),
           unix_time_us());
  return database.last_insert_rowid();
}

void insert_attempt(Database& database, const RunRecord& run, int64_t run_id, int64_t attempt) {
  const int64_t now = unix_time_us();
  database.prepare("INSERT INTO run_attempt VALUES(?, ?, ?, ?, ?, ?, ?, ?, NULL)")
      .run(run_id, attempt, build_row(database, run.build), machine_row(database, run.machine_json),
           run.n_threads, run.device, now, now);
}

// The scorings of a stored task in the order of the record; each must be there under its version.
std::vector<int64_t> require_scorings(const Database& database, const TaskRecord& task, int64_t run_task_id,
                                      int64_t run_id) {
  const auto ids = find_scorings(database, task.scorings, run_task_id);
  if (ids) return *ids;
  bad_input(database.path().string(),
            "run {} of {} was not judged by version {} of the scorers, which this fathom has; bring it up to "
            "date with "
            "`fathom rescore {} --db {}`, or begin a new run with --fresh",
            run_id, task.name, task.scorings.front().scorer_version, run_id, database.path().string());
}

WrittenTask find_task(Database& database, const TaskRecord& task, int64_t run_id, size_t position) {
  const std::optional<int64_t> run_task_id =
      database.prepare("SELECT run_task_id FROM run_task WHERE run_id = ? AND position = ?")
          .find_integer(run_id, position);
  FATHOM_CHECK(run_task_id, "task {} of run {}", position, run_id);
  return {.run_task_id = *run_task_id,
          .name = task.name,
          .n_reps = task.n_reps,
          .doc_ids = doc_rows(database, task.docs, dataset_row(database, task.dataset)),
          .scoring_ids = require_scorings(database, task, *run_task_id, run_id),
          .scorings = task.scorings};
}

// The answered samples of a task, and how many of them other runs computed.
void find_stored(Database& database, const WrittenTask& task, size_t position, StartedRun& started) {
  std::unordered_map<int64_t, size_t> position_of_doc;
  for (size_t i = 0; i < task.doc_ids.size(); ++i) position_of_doc[task.doc_ids[i]] = i;
  Statement rows = database.prepare(
      "SELECT doc_id, rep, reused_from IS NOT NULL FROM sample WHERE run_task_id = ? AND status = 0");
  rows.query(task.run_task_id);
  while (rows.step()) {
    const auto doc = position_of_doc.find(rows.integer(0));
    FATHOM_CHECK(doc != position_of_doc.end(), "task {} holds a document outside its plan", task.name);
    started.stored.push_back({.task = position, .doc = doc->second, .rep = rows.integer(1)});
    started.n_reused += rows.integer(2);
  }
}

void add_counts(Database& database, int64_t run_task_id, const CountChange& change) {
  if (change.n_stored == 0 && change.n_errors == 0) return;
  database
      .prepare(
          "UPDATE run_task SET n_stored = n_stored + ?2, n_errors = n_errors + ?3 WHERE run_task_id = ?1")
      .run(run_task_id, change.n_stored, change.n_errors);
}

void insert_tick(Statement& insert, int64_t run_id, int64_t attempt, const PerfTick& t) {
  insert.run(run_id, t.rank, t.t_us, t.dt_us, attempt, t.n_samples, t.prefill_tokens, t.decode_tokens,
             t.cached_tokens, t.n_running, t.n_waiting, t.blocks_used, t.blocks_total,
             Bytes(t.first_token.encode()), Bytes(t.inter_token.encode()), t.rss_bytes, t.device_bytes,
             t.cpu_us);
}

}  // namespace

// The run that the writer works on.
struct Store::ActiveRun {
  ActiveRun(Database& database, const CheckpointRecord& checkpoint_record)
      : checkpoint(checkpoint_record), writer(database) {}

  int64_t run_id = 0;
  int64_t attempt = 1;
  CheckpointRecord checkpoint;
  std::vector<WrittenTask> tasks;
  SampleWriter writer;
  std::vector<PerfTick> ticks;  // not stored yet
};

void end_killed_runs(Database& database) {
  database.execute(
      "UPDATE run SET status = 'interrupted', why = 'its process was killed' WHERE status = 'running'");
}

Store::Store(std::unique_ptr<WriterLock> lock, Database database)
    : lock_(std::move(lock)), database_(std::make_unique<Database>(std::move(database))) {}
Store::~Store() = default;
Store::Store(Store&&) noexcept = default;

Store Store::open_for_writing(const std::filesystem::path& path, const std::string& app_version,
                              FileSystemProbe probe) {
  auto lock = std::make_unique<WriterLock>(path);
  Store store(std::move(lock), results::open_for_writing(path, app_version, probe));
  end_killed_runs(*store.database_);
  return store;
}

Store::ActiveRun& Store::active() {
  FATHOM_CHECK(run_ != nullptr, "begin_run comes first");
  return *run_;
}

Database& Store::database() {
  return *database_;
}

bool Store::needs_hashes(const RunRecord& run) const {
  return run.checkpoint.files.empty() && decide_resume(*database_, run).needs_hashes;
}

bool Store::knows_plan(const RunRecord& run) const {
  return database_->prepare("SELECT 1 FROM run WHERE plan_sha256 = ?")
      .find_integer(sha256(canonical_plan(run)))
      .has_value();
}

StartedRun Store::begin_run(const RunRecord& run, Start start) {
  ResumeDecision decision;
  if (start == Start::kResume) decision = decide_resume(*database_, run);
  StartedRun started =
      decision.run_id ? continue_run(run, *decision.run_id, decision.complete) : new_run(run, start);
  if (!started.complete && !run.checkpoint.files.empty()) set_checkpoint_files(run.checkpoint.files);
  return started;
}

StartedRun Store::new_run(const RunRecord& run, Start start) {
  StartedRun started{.uuid = new_uuid()};
  auto active = std::make_unique<ActiveRun>(*database_, run.checkpoint);
  Transaction transaction(*database_);
  active->run_id = started.run_id = insert_run(*database_, run, started.uuid);
  insert_attempt(*database_, run, started.run_id, started.attempt);
  Statement insert_tag = database_->prepare("INSERT INTO run_tag VALUES(?, ?) ON CONFLICT DO NOTHING");
  for (const std::string& tag : run.tags) insert_tag.run(started.run_id, tag);
  for (size_t i = 0; i < run.tasks.size(); ++i) {
    active->tasks.push_back(insert_task(*database_, run.tasks[i], started.run_id, i));
  }
  if (start == Start::kResume) reuse_equal_samples(run, *active, started);
  transaction.commit();
  run_ = std::move(active);
  return started;
}

void Store::reuse_equal_samples(const RunRecord& run, const ActiveRun& active, StartedRun& started) {
  for (int64_t source : runs_with_same_context(*database_, run, started.run_id)) {
    for (size_t i = 0; i < active.tasks.size(); ++i) {
      const WrittenTask& task = active.tasks[i];
      const auto copied = reuse_samples(*database_, task, active.attempt, source);
      add_counts(*database_, task.run_task_id, {.n_stored = static_cast<int64_t>(copied.size())});
      for (const auto& [doc, rep] : copied) started.stored.push_back({.task = i, .doc = doc, .rep = rep});
    }
  }
  started.n_reused = static_cast<int64_t>(started.stored.size());
}

StartedRun Store::continue_run(const RunRecord& run, int64_t run_id, bool complete) {
  StartedRun started{.run_id = run_id, .resumed = true, .complete = complete};
  Statement row = database_->prepare(
      "SELECT run_uuid, (SELECT max(attempt) FROM run_attempt a WHERE a.run_id = r.run_id) FROM run r WHERE "
      "run_id = ?");
  FATHOM_CHECK(row.query(run_id).step(), "run {}", run_id);
  started.uuid = row.text(0);
  started.attempt = row.integer(1) + (complete ? 0 : 1);
  if (complete) return started;

  auto active = std::make_unique<ActiveRun>(*database_, run.checkpoint);
  active->run_id = run_id;
  active->attempt = started.attempt;
  Transaction transaction(*database_);
  insert_attempt(*database_, run, run_id, started.attempt);
  database_->prepare("UPDATE run SET status = 'running', why = NULL, finished_us = NULL WHERE run_id = ?")
      .run(run_id);
  for (size_t i = 0; i < run.tasks.size(); ++i) {
    active->tasks.push_back(find_task(*database_, run.tasks[i], run_id, i));
    find_stored(*database_, active->tasks[i], i, started);
  }
  transaction.commit();
  run_ = std::move(active);
  return started;
}

void Store::commit_samples(std::span<const SampleRecord> samples) {
  ActiveRun& run = active();
  std::vector<CountChange> changes(run.tasks.size());
  Transaction transaction(*database_);
  for (const SampleRecord& sample : samples) {
    FATHOM_CHECK(sample.task < run.tasks.size(), "task {} of {}", sample.task, run.tasks.size());
    const CountChange change = run.writer.write(run.tasks[sample.task], run.attempt, sample);
    changes[sample.task].n_stored += change.n_stored;
    changes[sample.task].n_errors += change.n_errors;
  }
  for (size_t i = 0; i < changes.size(); ++i) add_counts(*database_, run.tasks[i].run_task_id, changes[i]);
  store_ticks();
  database_->prepare("UPDATE run_attempt SET last_commit_us = ?3 WHERE run_id = ?1 AND attempt = ?2")
      .run(run.run_id, run.attempt, unix_time_us());
  transaction.commit();
  run.ticks.clear();
}

void Store::add_tick(const PerfTick& tick) {
  active().ticks.push_back(tick);
}

void Store::store_ticks() {
  const ActiveRun& run = active();
  Statement insert = database_->prepare(
      "INSERT INTO perf_tick VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO "
      "NOTHING");
  for (const PerfTick& tick : run.ticks) insert_tick(insert, run.run_id, run.attempt, tick);
}

void Store::add_sandbox_policy(const Sha256Digest& sha256, const std::string& level,
                               const std::string& layers_json) {
  database_->prepare("INSERT INTO sandbox_policy VALUES(?, ?, ?) ON CONFLICT DO NOTHING")
      .run(sha256, level, canonical_json(layers_json, "layers of the sandbox"));
}

void Store::set_checkpoint_files(std::vector<FileIdentity> files) {
  ActiveRun& run = active();
  auto by_path = [](const auto& a, const auto& b) { return a.path < b.path; };
  std::vector<WeightFile> expected = run.checkpoint.weights;
  std::sort(expected.begin(), expected.end(), by_path);
  std::sort(files.begin(), files.end(), by_path);
  const bool same = std::equal(expected.begin(), expected.end(), files.begin(), files.end(),
                               [](const WeightFile& weight, const FileIdentity& file) {
                                 return weight.path == file.path && weight.size_bytes == file.size_bytes;
                               });
  if (!same) {
    bad_input(
        run.checkpoint.path,
        "the checkpoint's files changed while the run went on; its results belong to no one checkpoint");
  }
  Transaction transaction(*database_);
  const int64_t checkpoint_id = checkpoint_row(*database_, run.checkpoint, files);
  const std::optional<int64_t> before =
      database_->prepare("SELECT checkpoint_id FROM run WHERE run_id = ? AND checkpoint_id IS NOT NULL")
          .find_integer(run.run_id);
  if (before && *before != checkpoint_id) {
    bad_input(
        run.checkpoint.path,
        "the tensor files have another content than when run {} began, though size and time are the same; "
        "begin a new run with --fresh",
        run.run_id);
  }
  database_->prepare("UPDATE run SET checkpoint_id = ? WHERE run_id = ?").run(checkpoint_id, run.run_id);
  transaction.commit();
}

void Store::finish_run(RunStatus status, const std::string& why) {
  ActiveRun& run = active();
  FATHOM_CHECK(status != RunStatus::kRunning);
  Transaction transaction(*database_);
  if (status == RunStatus::kComplete) {
    const int64_t named = database_->query_int(
        fmt::format("SELECT checkpoint_id IS NOT NULL FROM run WHERE run_id = {}", run.run_id));
    FATHOM_CHECK(named == 1, "set_checkpoint_files comes before a run can be complete");
  }
  store_ticks();
  store_metrics(*database_, run.run_id);
  const int64_t now = unix_time_us();
  database_->prepare("UPDATE run SET status = ?, why = ?, finished_us = ? WHERE run_id = ?")
      .run(run_status_name(status), why.empty() ? std::nullopt : std::optional(why), now, run.run_id);
  database_->prepare("UPDATE run_attempt SET ended_us = ?3 WHERE run_id = ?1 AND attempt = ?2")
      .run(run.run_id, run.attempt, now);
  transaction.commit();
  run_.reset();
  // The next reader finds everything in the database file itself and the log is short again.
  database_->prepare("PRAGMA wal_checkpoint(TRUNCATE)").run();
}

}  // namespace fathom::results
