#include "results/rescoring.h"

#include "base/error.h"
#include "results/aggregate.h"
#include "results/sample_writer.h"
#include "results/scoring_rows.h"

namespace fathom::results {

bool is_judged_by(const Database& database, int64_t run_task_id, const std::vector<ScoringRecord>& scorings) {
  return find_scorings(database, scorings, run_task_id).has_value();
}

void store_rejudged(Database& database, int64_t run_id, const std::vector<RejudgedTask>& tasks) {
  Transaction transaction(database);
  SampleWriter writer(database);
  Statement set_flags = database.prepare("UPDATE sample SET flags = ?2 WHERE sample_id = ?1");
  Statement count_answered =
      database.prepare("SELECT count(*) FROM sample WHERE run_task_id = ? AND status = 0");
  for (const RejudgedTask& judged : tasks) {
    const auto n_answered = count_answered.find_integer(judged.task.run_task_id);
    FATHOM_CHECK(n_answered == static_cast<int64_t>(judged.samples.size()), "{}: {} samples judged of {}",
                 judged.task.name, judged.samples.size(), n_answered.value_or(0));
    const WrittenTask task{.run_task_id = judged.task.run_task_id,
                           .name = judged.task.name,
                           .n_reps = judged.task.n_reps,
                           .doc_ids = {},
                           .scoring_ids = insert_scorings(database, judged.scorings, judged.task.run_task_id),
                           .scorings = judged.scorings};
    for (const RejudgedSample& sample : judged.samples) {
      set_flags.run(sample.sample_id, sample.flags);
      writer.add_scores(task, sample.sample_id, sample.scores);
      writer.add_verdicts(sample.sample_id, sample.verdicts);
    }
  }
  store_metrics(database, run_id);
  transaction.commit();
}

}  // namespace fathom::results
