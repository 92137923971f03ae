#include "results/reuse.h"

#include <map>
#include <optional>
#include <unordered_map>

#include "base/error.h"

namespace fathom::results {
namespace {

// The source's scoring of every scoring of the task; nothing when one is missing.
std::optional<std::vector<int64_t>> matching_scorings(Database& database, const WrittenTask& task,
                                                      int64_t source_task) {
  Statement find = database.prepare(
      "SELECT s.scoring_id FROM scoring s JOIN scoring mine ON mine.scoring_id = ?2 WHERE s.run_task_id = ?1"
      " AND s.metric = mine.metric AND s.filter = mine.filter AND s.scorer_version = mine.scorer_version"
      " AND s.params = mine.params");
  std::vector<int64_t> ids;
  for (int64_t mine : task.scoring_ids) {
    const std::optional<int64_t> id = find.find_integer(source_task, mine);
    if (!id) return std::nullopt;
    ids.push_back(*id);
  }
  return ids;
}

class SampleCopier {
 public:
  SampleCopier(Database& database, const WrittenTask& task, int64_t attempt, int64_t source)
      : task_(task),
        attempt_(attempt),
        source_(source),
        copy_sample_(database.prepare(
            "INSERT INTO sample(run_task_id, doc_id, rep, attempt, prompt_id, status, finish, flags, "
            "n_prompt, n_cached,"
            "  n_truncated, n_output, gold, queue_us, first_token_us, total_us, done_us, reused_from)"
            " SELECT ?2, doc_id, rep, ?3, prompt_id, status, finish, flags, n_prompt, n_cached, n_truncated, "
            "n_output,"
            "  gold, queue_us, first_token_us, total_us, done_us, ifnull(reused_from, ?4)"
            " FROM sample WHERE sample_id = ?1 ON CONFLICT(run_task_id, doc_id, rep) DO NOTHING RETURNING "
            "sample_id")),
        copy_io_(database.prepare(
            "INSERT INTO sample_io(sample_id, choice_logprobs, choice_greedy, output, output_ids, "
            "output_logprobs, error)"
            " SELECT ?2, choice_logprobs, choice_greedy, output, output_ids, output_logprobs, error"
            " FROM sample_io WHERE sample_id = ?1")),
        copy_score_(database.prepare("INSERT INTO score(scoring_id, sample_id, value, outcome, answer, why)"
                                     " SELECT ?3, ?2, value, outcome, answer, why FROM score WHERE "
                                     "scoring_id = ?4 AND sample_id = ?1")),
        copy_verdict_(database.prepare(
            "INSERT INTO sandbox_verdict(sample_id, execution, verdict, detail, signal, wall_us, cpu_us, "
            "peak_rss_bytes,"
            "  policy_sha256) SELECT ?2, execution, verdict, detail, signal, wall_us, cpu_us, peak_rss_bytes,"
            "  policy_sha256 FROM sandbox_verdict WHERE sample_id = ?1")) {}

  // False when the place is taken.
  bool copy(int64_t sample_id, const std::vector<int64_t>& source_scorings) {
    const std::optional<int64_t> copy =
        copy_sample_.find_integer(sample_id, task_.run_task_id, attempt_, source_);
    if (!copy) return false;
    copy_io_.run(sample_id, *copy);
    for (size_t i = 0; i < source_scorings.size(); ++i) {
      copy_score_.run(sample_id, *copy, task_.scoring_ids[i], source_scorings[i]);
    }
    copy_verdict_.run(sample_id, *copy);
    return true;
  }

 private:
  const WrittenTask& task_;
  int64_t attempt_;
  int64_t source_;
  Statement copy_sample_;
  Statement copy_io_;
  Statement copy_score_;
  Statement copy_verdict_;
};

}  // namespace

std::vector<std::pair<size_t, int64_t>> reuse_samples(Database& database, const WrittenTask& task,
                                                      int64_t attempt, int64_t source) {
  std::vector<std::pair<size_t, int64_t>> copied;
  const std::optional<int64_t> source_task =
      database
          .prepare(
              "SELECT run_task_id FROM run_task WHERE run_id = ?2 AND task_id ="
              " (SELECT task_id FROM run_task WHERE run_task_id = ?1)")
          .find_integer(task.run_task_id, source);
  if (!source_task) return copied;
  const auto scorings = matching_scorings(database, task, *source_task);
  if (!scorings) return copied;

  std::unordered_map<int64_t, size_t> position_of_doc;
  for (size_t i = 0; i < task.doc_ids.size(); ++i) position_of_doc[task.doc_ids[i]] = i;
  SampleCopier copier(database, task, attempt, source);
  Statement rows = database.prepare(
      "SELECT sample_id, doc_id, rep FROM sample WHERE run_task_id = ? AND status = 0 AND rep < ? ORDER BY "
      "sample_id");
  rows.query(*source_task, task.n_reps);
  while (rows.step()) {
    const auto position = position_of_doc.find(rows.integer(1));
    if (position == position_of_doc.end() || !copier.copy(rows.integer(0), *scorings)) continue;
    copied.emplace_back(position->second, rows.integer(2));
  }
  return copied;
}

}  // namespace fathom::results
