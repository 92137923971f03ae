#include "results/merge.h"

#include <stdlib.h>

#include <set>
#include <system_error>

#include "base/error.h"
#include "results/check.h"
#include "results/schema.h"
#include "results/snapshot.h"
#include "results/store.h"
#include "results/writer_lock.h"

namespace fathom::results {
namespace {

namespace fs = std::filesystem;

// A folder beside the database, for a copy that nobody else writes to.
class PrivateFolder {
 public:
  explicit PrivateFolder(const fs::path& beside) {
    std::string pattern = beside.string() + ".merge-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) bad_input(beside.string(), "cannot make a folder beside it");
    path_ = pattern;
  }
  ~PrivateFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;

  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

// ATTACHed as `other` while this lives.
class Attached {
 public:
  Attached(Database& database, const fs::path& path) : database_(database) {
    database_.prepare("ATTACH ? AS other").run(path.string());
  }
  ~Attached() {
    try {
      database_.execute("DETACH other");
    } catch (const Error&) {
      // The connection is about to be closed after an error of its own.
    }
  }
  Attached(const Attached&) = delete;
  Attached& operator=(const Attached&) = delete;

 private:
  Database& database_;
};

// A view or trigger of theirs would run in our connection.
void require_plain_tables(const Database& copy, const fs::path& from) {
  Statement rows = copy.prepare("SELECT type, name FROM sqlite_schema WHERE type IN ('view', 'trigger')");
  if (rows.step())
    bad_input(from.string(), "refused: it has a {} \"{}\", fathom's databases have none", rows.text(0),
              rows.text(1));
}

void require_sound(const Database& copy, const fs::path& from) {
  const CheckReport report = check_database(copy);
  if (report.problems.empty()) return;
  bad_input(from.string(), "refused, nothing was merged: {}{}; see `fathom db check {}`",
            report.problems.front(),
            report.problems.size() > 1 ? fmt::format(" (and {} more)", report.problems.size() - 1) : "",
            from.string());
}

std::set<std::string> columns_of(const Database& database) {
  Statement rows = database.prepare(
      "SELECT m.name || '.' || c.name || ' ' || c.type FROM sqlite_schema m JOIN pragma_table_info(m.name) c"
      " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'");
  std::set<std::string> columns;
  while (rows.step()) columns.insert(rows.text(0));
  return columns;
}

void require_our_columns(const Database& into, const Database& copy, const fs::path& from) {
  const std::set<std::string> theirs = columns_of(copy);
  for (const std::string& column : columns_of(into)) {
    if (!theirs.contains(column))
      bad_input(from.string(), "refused: its column {} is missing or of another type", column);
  }
}

// Shared rows are inserted unless their key is here; map_* then says which of theirs is which of ours.
constexpr const char* kCopyIdentities[] = {
    "INSERT INTO main.checkpoint(manifest_sha256, arch, dtype, n_params, n_active_params, max_tokens, config)"
    " SELECT manifest_sha256, arch, dtype, n_params, n_active_params, max_tokens, config FROM "
    "other.checkpoint WHERE true"
    " ON CONFLICT DO NOTHING",
    "CREATE TEMP TABLE map_checkpoint AS SELECT o.checkpoint_id AS theirs, m.checkpoint_id AS mine"
    " FROM other.checkpoint o JOIN main.checkpoint m USING(manifest_sha256)",
    "INSERT INTO main.checkpoint_file(checkpoint_id, path, size_bytes, sha256)"
    " SELECT x.mine, f.path, f.size_bytes, f.sha256 FROM other.checkpoint_file f"
    " JOIN map_checkpoint x ON x.theirs = f.checkpoint_id WHERE true ON CONFLICT DO NOTHING",

    "INSERT INTO main.tokenizer(sha256, vocab_size) SELECT sha256, vocab_size FROM other.tokenizer WHERE true"
    " ON CONFLICT DO NOTHING",
    "CREATE TEMP TABLE map_tokenizer AS SELECT o.tokenizer_id AS theirs, m.tokenizer_id AS mine"
    " FROM other.tokenizer o JOIN main.tokenizer m USING(sha256)",

    "INSERT INTO main.build(sha256, version, git_commit, git_dirty, compiler)"
    " SELECT sha256, version, git_commit, git_dirty, compiler FROM other.build WHERE true ON CONFLICT DO "
    "NOTHING",
    "CREATE TEMP TABLE map_build AS SELECT o.build_id AS theirs, m.build_id AS mine"
    " FROM other.build o JOIN main.build m USING(sha256)",

    "INSERT INTO main.machine(description) SELECT description FROM other.machine WHERE true ON CONFLICT DO "
    "NOTHING",
    "CREATE TEMP TABLE map_machine AS SELECT o.machine_id AS theirs, m.machine_id AS mine"
    " FROM other.machine o JOIN main.machine m USING(description)",

    "INSERT INTO main.dataset(sha256, name, split, n_rows, source)"
    " SELECT sha256, name, split, n_rows, source FROM other.dataset WHERE true ON CONFLICT DO NOTHING",
    "CREATE TEMP TABLE map_dataset AS SELECT o.dataset_id AS theirs, m.dataset_id AS mine"
    " FROM other.dataset o JOIN main.dataset m USING(sha256)",

    "INSERT INTO main.doc(dataset_id, ordinal, doc_key, sha256, cluster, target)"
    " SELECT x.mine, d.ordinal, d.doc_key, d.sha256, d.cluster, d.target FROM other.doc d"
    " JOIN map_dataset x ON x.theirs = d.dataset_id WHERE true ON CONFLICT DO NOTHING",
    "CREATE TEMP TABLE map_doc(theirs INTEGER PRIMARY KEY, mine INTEGER NOT NULL)",
    "INSERT INTO map_doc SELECT o.doc_id, m.doc_id FROM other.doc o JOIN map_dataset x ON x.theirs = "
    "o.dataset_id"
    " JOIN main.doc m ON m.dataset_id = x.mine AND m.ordinal = o.ordinal AND m.sha256 = o.sha256",

    "INSERT INTO main.task(dataset_id, name, version, kind, n_shot, spec_sha256, spec)"
    " SELECT x.mine, t.name, t.version, t.kind, t.n_shot, t.spec_sha256, t.spec FROM other.task t"
    " JOIN map_dataset x ON x.theirs = t.dataset_id WHERE true ON CONFLICT DO NOTHING",
    "CREATE TEMP TABLE map_task AS SELECT o.task_id AS theirs, m.task_id AS mine FROM other.task o"
    " JOIN map_dataset x ON x.theirs = o.dataset_id JOIN main.task m ON m.dataset_id = x.mine AND m.name = "
    "o.name"
    " AND m.version = o.version AND m.n_shot = o.n_shot AND m.spec_sha256 = o.spec_sha256",

    "INSERT INTO main.text(sha256, content) SELECT sha256, content FROM other.text WHERE true ON CONFLICT DO "
    "NOTHING",
    "INSERT INTO main.prompt(ids_sha256, text_sha256, n_tokens, text_id, recipe)"
    " SELECT p.ids_sha256, p.text_sha256, p.n_tokens, m.text_id, p.recipe FROM other.prompt p"
    " LEFT JOIN other.text o ON o.text_id = p.text_id LEFT JOIN main.text m ON m.sha256 = o.sha256"
    " WHERE true ON CONFLICT DO NOTHING",
    "CREATE TEMP TABLE map_prompt(theirs INTEGER PRIMARY KEY, mine INTEGER NOT NULL)",
    "INSERT INTO map_prompt SELECT o.prompt_id, m.prompt_id FROM other.prompt o"
    " JOIN main.prompt m USING(ids_sha256, text_sha256)",

    "INSERT INTO main.sandbox_policy SELECT * FROM other.sandbox_policy WHERE true ON CONFLICT DO NOTHING",
    "INSERT INTO main.policy SELECT * FROM other.policy WHERE true ON CONFLICT DO NOTHING",
};

// map_run(theirs, mine, is_new) is filled; rows of a run keep their order, moved up by what is here already.
constexpr const char* kCopyRuns[] = {
    "CREATE TEMP TABLE moved AS SELECT (SELECT ifnull(max(run_task_id), 0) FROM main.run_task) AS run_task,"
    " (SELECT ifnull(max(sample_id), 0) FROM main.sample) AS sample,"
    " (SELECT ifnull(max(scoring_id), 0) FROM main.scoring) AS scoring",

    "INSERT INTO main.run(run_id, run_uuid, plan_sha256, plan, weights, checkpoint_id, tokenizer_id, model, "
    "model_path,"
    "  train_step, name, options, status, why, created_us, finished_us)"
    " SELECT x.mine, r.run_uuid, r.plan_sha256, r.plan, r.weights, c.mine, t.mine, r.model, r.model_path, "
    "r.train_step,"
    "  r.name, r.options, r.status, r.why, r.created_us, r.finished_us FROM other.run r"
    " JOIN map_run x ON x.theirs = r.run_id AND x.is_new JOIN map_tokenizer t ON t.theirs = r.tokenizer_id"
    " LEFT JOIN map_checkpoint c ON c.theirs = r.checkpoint_id",
    "INSERT INTO main.run_attempt(run_id, attempt, build_id, machine_id, n_threads, device, started_us, "
    "last_commit_us,"
    "  ended_us) SELECT x.mine, a.attempt, b.mine, m.mine, a.n_threads, a.device, a.started_us, "
    "a.last_commit_us,"
    "  a.ended_us FROM other.run_attempt a JOIN map_run x ON x.theirs = a.run_id AND x.is_new"
    " JOIN map_build b ON b.theirs = a.build_id JOIN map_machine m ON m.theirs = a.machine_id",
    "INSERT INTO main.run_tag SELECT x.mine, t.tag FROM other.run_tag t JOIN map_run x ON x.theirs = "
    "t.run_id AND x.is_new",
    "INSERT INTO main.run_task(run_task_id, run_id, position, task_id, n_docs, n_reps, groups, n_stored, "
    "n_errors)"
    " SELECT rt.run_task_id + moved.run_task, x.mine, rt.position, t.mine, rt.n_docs, rt.n_reps, rt.groups, "
    "rt.n_stored,"
    "  rt.n_errors FROM other.run_task rt JOIN map_run x ON x.theirs = rt.run_id AND x.is_new"
    " JOIN map_task t ON t.theirs = rt.task_id, moved",

    "CREATE TEMP TABLE new_sample(theirs INTEGER PRIMARY KEY)",
    "INSERT INTO new_sample SELECT s.sample_id FROM other.sample s JOIN other.run_task rt USING(run_task_id)"
    " JOIN map_run x ON x.theirs = rt.run_id AND x.is_new",
    // reused_from 0: of a run that is not in this database
    "INSERT INTO main.sample(sample_id, run_task_id, doc_id, rep, attempt, prompt_id, status, finish, flags, "
    "n_prompt,"
    "  n_cached, n_truncated, n_output, gold, queue_us, first_token_us, total_us, done_us, reused_from)"
    " SELECT s.sample_id + moved.sample, s.run_task_id + moved.run_task, d.mine, s.rep, s.attempt, p.mine, "
    "s.status,"
    "  s.finish, s.flags, s.n_prompt, s.n_cached, s.n_truncated, s.n_output, s.gold, s.queue_us, "
    "s.first_token_us,"
    "  s.total_us, s.done_us, iif(s.reused_from IS NULL, NULL, ifnull(f.mine, 0))"
    " FROM new_sample n JOIN other.sample s ON s.sample_id = n.theirs JOIN map_doc d ON d.theirs = s.doc_id"
    " JOIN map_prompt p ON p.theirs = s.prompt_id LEFT JOIN map_run f ON f.theirs = s.reused_from, moved",
    "INSERT INTO main.sample_io(sample_id, choice_logprobs, choice_greedy, output, output_ids, "
    "output_logprobs, error)"
    " SELECT i.sample_id + moved.sample, i.choice_logprobs, i.choice_greedy, i.output, i.output_ids, "
    "i.output_logprobs,"
    "  i.error FROM new_sample n JOIN other.sample_io i ON i.sample_id = n.theirs, moved",
    "INSERT INTO main.scoring(scoring_id, run_task_id, metric, filter, scorer_version, kind, low, high, "
    "params, headline,"
    "  created_us) SELECT g.scoring_id + moved.scoring, g.run_task_id + moved.run_task, g.metric, g.filter,"
    "  g.scorer_version, g.kind, g.low, g.high, g.params, g.headline, g.created_us FROM other.scoring g"
    " JOIN other.run_task rt USING(run_task_id) JOIN map_run x ON x.theirs = rt.run_id AND x.is_new, moved",
    "INSERT INTO main.score(scoring_id, sample_id, value, outcome, answer, why)"
    " SELECT c.scoring_id + moved.scoring, c.sample_id + moved.sample, c.value, c.outcome, c.answer, c.why"
    " FROM other.score c JOIN new_sample n ON n.theirs = c.sample_id, moved",
    "INSERT INTO main.sandbox_verdict(sample_id, execution, verdict, detail, signal, wall_us, cpu_us, "
    "peak_rss_bytes,"
    "  policy_sha256) SELECT v.sample_id + moved.sample, v.execution, v.verdict, v.detail, v.signal, "
    "v.wall_us, v.cpu_us,"
    "  v.peak_rss_bytes, v.policy_sha256 FROM other.sandbox_verdict v JOIN new_sample n ON n.theirs = "
    "v.sample_id, moved",
    "INSERT INTO main.metric(run_id, scope, name, filter, estimator, value, n, n_missing, n_clusters, se, "
    "se_method,"
    "  ci_low, ci_high, ci_level, ci_method, lmeval_se, lmeval_se_method, boot_draws, boot_seed, headline, "
    "position,"
    "  computed_us) SELECT x.mine, scope, name, filter, estimator, value, n, n_missing, n_clusters, se, "
    "se_method,"
    "  ci_low, ci_high, ci_level, ci_method, lmeval_se, lmeval_se_method, boot_draws, boot_seed, headline, "
    "position,"
    "  computed_us FROM other.metric m JOIN map_run x ON x.theirs = m.run_id AND x.is_new ORDER BY "
    "m.metric_id",
    "INSERT INTO main.perf_tick(run_id, rank, t_us, dt_us, attempt, n_samples, prefill_tokens, decode_tokens,"
    "  cached_tokens, n_running, n_waiting, blocks_used, blocks_total, first_token_us, inter_token_us, "
    "rss_bytes,"
    "  device_bytes, cpu_us) SELECT x.mine, rank, t_us, dt_us, attempt, n_samples, prefill_tokens, "
    "decode_tokens,"
    "  cached_tokens, n_running, n_waiting, blocks_used, blocks_total, first_token_us, inter_token_us, "
    "rss_bytes,"
    "  device_bytes, cpu_us FROM other.perf_tick p JOIN map_run x ON x.theirs = p.run_id AND x.is_new",
    "INSERT INTO main.verdict(base_run_id, cand_run_id, policy_sha256, verdict, report, created_us)"
    " SELECT b.mine, c.mine, v.policy_sha256, v.verdict, v.report, v.created_us FROM other.verdict v"
    " JOIN map_run b ON b.theirs = v.base_run_id JOIN map_run c ON c.theirs = v.cand_run_id AND c.is_new",

    // A benchmark is known by when, where and what; one that is there already has its figures.
    "CREATE TEMP TABLE new_bench AS SELECT o.bench_id AS theirs, b.mine AS build, m.mine AS machine, "
    "o.created_us,"
    "  o.command, o.context FROM other.bench o JOIN map_build b ON b.theirs = o.build_id"
    " JOIN map_machine m ON m.theirs = o.machine_id WHERE NOT EXISTS(SELECT 1 FROM main.bench k"
    "  WHERE k.created_us = o.created_us AND k.machine_id = m.mine AND k.command = o.command)",
    "INSERT INTO main.bench(build_id, machine_id, created_us, command, context)"
    " SELECT build, machine, created_us, command, context FROM new_bench ORDER BY theirs",
    "INSERT INTO main.bench_figure SELECT k.bench_id, f.position, f.name, f.unit, f.rate, f.share, "
    "f.share_of,"
    "  f.repeats FROM other.bench_figure f JOIN new_bench n ON n.theirs = f.bench_id"
    " JOIN main.bench k ON k.created_us = n.created_us AND k.machine_id = n.machine AND k.command = "
    "n.command",
};

constexpr const char* kTemporaryTables[] = {"map_checkpoint", "map_tokenizer", "map_build",  "map_machine",
                                            "map_dataset",    "map_doc",       "map_task",   "map_prompt",
                                            "map_run",        "moved",         "new_sample", "new_bench"};

// Answers of our run that theirs lacks or has otherwise.
constexpr const char* kOtherAnswers =
    "SELECT count(*) FROM main.sample s JOIN main.run_task rt USING(run_task_id) JOIN main.doc d "
    "USING(doc_id)"
    " JOIN main.sample_io i USING(sample_id) WHERE rt.run_id = ?1 AND s.status = 0 AND NOT EXISTS("
    "  SELECT 1 FROM other.run_task ot JOIN other.sample os USING(run_task_id) JOIN other.doc od "
    "USING(doc_id)"
    "  JOIN other.sample_io oi USING(sample_id) WHERE ot.run_id = ?2 AND ot.position = rt.position AND "
    "os.rep = s.rep"
    "  AND od.sha256 = d.sha256 AND od.ordinal = d.ordinal AND os.status = 0 AND oi.choice_logprobs IS "
    "i.choice_logprobs"
    "  AND oi.output_ids IS i.output_ids AND oi.output IS i.output)";

class Merge {
 public:
  Merge(Database& into, const fs::path& from) : into_(into), from_(from) {}

  std::vector<MergedRun> run() {
    Transaction transaction(into_);
    into_.execute("PRAGMA defer_foreign_keys = ON");  // a run that is replaced may be a baseline
    into_.execute(
        "CREATE TEMP TABLE map_run(theirs INTEGER PRIMARY KEY, mine INTEGER NOT NULL, is_new INTEGER NOT "
        "NULL)");
    const std::vector<MergedRun> runs = decide();
    for (const MergedRun& merged : runs) enter(merged);
    for (const char* sql : kCopyIdentities) into_.execute(sql);
    for (const char* sql : kCopyRuns) into_.execute(sql);
    for (const char* table : kTemporaryTables) into_.execute(fmt::format("DROP TABLE temp.{}", table));
    transaction.commit();
    return runs;
  }

 private:
  std::vector<MergedRun> decide() {
    int64_t next_id = std::max(
        into_.query_int("SELECT ifnull(max(run_id), 0) FROM main.run"),
        into_.query_int("SELECT ifnull((SELECT seq FROM main.sqlite_sequence WHERE name = 'run'), 0)"));
    Statement rows = into_.prepare(
        "SELECT o.run_uuid, o.run_id, m.run_id, o.status = 'running',"
        "  (SELECT ifnull(sum(n_stored - n_errors), 0) FROM other.run_task t WHERE t.run_id = o.run_id),"
        "  (SELECT ifnull(sum(n_stored - n_errors), 0) FROM main.run_task t WHERE t.run_id = m.run_id),"
        "  o.status = 'complete' AND m.status <> 'complete'"
        " FROM other.run o LEFT JOIN main.run m USING(run_uuid) ORDER BY o.run_id");
    std::vector<MergedRun> runs;
    while (rows.step()) {
      MergedRun merged{.uuid = rows.text(0), .their_id = rows.integer(1), .run_id = rows.integer(2)};
      const bool here = !rows.is_null(2);
      const bool goes_further = rows.integer(4) > rows.integer(5) || rows.integer(6) != 0;
      if (here && !goes_further) {
        merged.what = MergedRun::What::kPresent;
      } else if (rows.integer(3) != 0) {
        merged.what = MergedRun::What::kRunning;
      } else if (here) {
        merged.what = MergedRun::What::kContinued;
        require_same_answers(merged);
      } else {
        merged.run_id = ++next_id;
      }
      runs.push_back(std::move(merged));
    }
    return runs;
  }

  void require_same_answers(const MergedRun& merged) {
    const int64_t n_other = into_.prepare(kOtherAnswers).find_integer(merged.run_id, merged.their_id).value();
    if (n_other > 0) {
      bad_input(from_.string(),
                "refused, nothing was merged: its run {} has the UUID of run {} here ({}), but {} of the "
                "answers here are "
                "missing or different there",
                merged.their_id, merged.run_id, merged.uuid, n_other);
    }
  }

  void enter(const MergedRun& merged) {
    if (merged.what == MergedRun::What::kRunning) return;
    const bool is_new = merged.what != MergedRun::What::kPresent;
    if (merged.what == MergedRun::What::kContinued)
      into_.prepare("DELETE FROM main.run WHERE run_id = ?").run(merged.run_id);
    into_.prepare("INSERT INTO map_run VALUES(?, ?, ?)").run(merged.their_id, merged.run_id, is_new);
  }

  Database& into_;
  const fs::path& from_;
};

}  // namespace

std::vector<MergedRun> merge_runs(Database& into, const fs::path& from, const std::string& app_version,
                                  FileSystemProbe probe) {
  std::error_code ignored;
  if (fs::equivalent(into.path(), from, ignored))
    bad_input(from.string(), "a database cannot be merged into itself");
  const bool is_written = WriterLock::is_held(from);
  const PrivateFolder folder(into.path());
  const fs::path copy_path = folder / "copy.db";
  snapshot(from, copy_path, Existing::kKeep, probe);
  require_plain_tables(Database(copy_path, Database::Access::kReadOnly), from);
  {
    Database copy =
        open_for_writing(copy_path, app_version, probe);  // migrates an older schema, refuses a newer one
    if (!is_written) end_killed_runs(copy);
  }
  {
    const Database copy = open_for_reading(copy_path, probe);
    require_our_columns(into, copy, from);
    require_sound(copy, from);
  }
  const Attached attached(into, copy_path);
  return Merge(into, from).run();
}

}  // namespace fathom::results
