#include "results/samples.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "results/stored_tasks.h"

namespace fathom::results {
namespace {

template <typename T>
std::vector<T> values_of(Bytes bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

std::vector<bool> unpacked(Bytes bytes, size_t n) {
  std::vector<bool> bits(n);
  for (size_t i = 0; i < n && i / 8 < bytes.size(); ++i) bits[i] = (bytes[i / 8] >> (i % 8) & 1) != 0;
  return bits;
}

bool is_or_belongs_to(const StoredTask& task, const std::string& name) {
  return name.empty() || task.name == name ||
         std::find(task.groups.begin(), task.groups.end(), name) != task.groups.end();
}

// Scores and verdicts of one sample; statements compiled once for all samples.
class Details {
 public:
  explicit Details(const Database& database)
      : scores_(database.prepare(
            "SELECT g.metric, g.filter, c.value, c.outcome, c.answer, c.why, g.headline FROM score c"
            " JOIN scoring g USING(scoring_id) WHERE c.sample_id = ?1 AND g.scoring_id ="
            "  (SELECT max(n.scoring_id) FROM scoring n WHERE n.run_task_id = g.run_task_id"
            "   AND n.metric = g.metric AND n.filter = g.filter) ORDER BY g.scoring_id")),
        verdicts_(database.prepare("SELECT verdict, detail, signal, wall_us, cpu_us, peak_rss_bytes, "
                                   "policy_sha256 FROM sandbox_verdict"
                                   " WHERE sample_id = ? ORDER BY execution")) {}

  void read(int64_t sample_id, StoredSample& sample) {
    scores_.query(sample_id);
    while (scores_.step()) {
      sample.scores.push_back({.metric = scores_.text(0),
                               .filter = scores_.text(1),
                               .value = scores_.optional_real(2),
                               .outcome = static_cast<ScoreOutcome>(scores_.integer(3)),
                               .answer = scores_.text(4),
                               .why = scores_.text(5),
                               .headline = scores_.integer(6) != 0});
    }
    verdicts_.query(sample_id);
    while (verdicts_.step()) {
      sample.verdicts.push_back({.verdict = verdicts_.text(0),
                                 .detail = verdicts_.text(1),
                                 .signal = verdicts_.optional_integer(2),
                                 .wall_us = verdicts_.integer(3),
                                 .cpu_us = verdicts_.integer(4),
                                 .peak_rss_bytes = verdicts_.integer(5),
                                 .policy_sha256 = verdicts_.digest(6)});
    }
  }

 private:
  Statement scores_;
  Statement verdicts_;
};

constexpr const char* kSamplesOfTask =
    "SELECT s.sample_id, d.ordinal, d.doc_key, s.rep, d.target, p.text_sha256, p.ids_sha256, s.status, "
    "s.finish,"
    "  s.flags, s.n_prompt, s.n_cached, s.n_truncated, s.gold, i.choice_logprobs, i.choice_greedy, i.output,"
    "  i.output_ids, i.output_logprobs, i.error, d.sha256, s.reused_from"
    " FROM sample s JOIN doc d USING(doc_id) JOIN prompt p USING(prompt_id) LEFT JOIN sample_io i "
    "USING(sample_id)"
    " WHERE s.run_task_id = ? ORDER BY d.ordinal, s.rep";

StoredSample sample_of(const StoredTask& task, const Statement& row) {
  StoredSample sample{.sample_id = row.integer(0),
                      .task = task.name,
                      .ordinal = row.integer(1),
                      .doc_key = row.text(2),
                      .rep = row.integer(3),
                      .n_reps = task.n_reps,
                      .target = row.text(4),
                      .doc_sha256 = row.digest(20),
                      .prompt_sha256 = row.digest(5),
                      .ids_sha256 = row.digest(6),
                      .status = static_cast<SampleStatus>(row.integer(7)),
                      .error = row.text(19),
                      .finish = static_cast<Finish>(row.integer(8)),
                      .flags = static_cast<uint32_t>(row.integer(9)),
                      .n_prompt = row.integer(10),
                      .n_cached = row.integer(11),
                      .n_truncated = row.integer(12),
                      .gold = row.optional_integer(13),
                      .choice_logprobs = values_of<double>(row.bytes(14)),
                      .output = row.text(16),
                      .output_ids = values_of<int32_t>(row.bytes(17)),
                      .output_logprobs = values_of<float>(row.bytes(18)),
                      .reused_from = row.optional_integer(21)};
  sample.choice_greedy = unpacked(row.bytes(15), sample.choice_logprobs.size());
  return sample;
}

}  // namespace

ScoreOutcome StoredSample::outcome() const {
  if (status == SampleStatus::kError) return ScoreOutcome::kError;
  for (const StoredScore& score : scores) {
    if (score.headline) return score.outcome;
  }
  return scores.empty() ? ScoreOutcome::kError : scores.front().outcome;
}

void for_each_sample(const Database& database, int64_t run_id, const std::string& task,
                     const std::function<void(const StoredSample&)>& visit) {
  Details details(database);
  Statement rows = database.prepare(kSamplesOfTask);
  bool found = false;
  for (const StoredTask& candidate : stored_tasks(database, run_id)) {
    if (!is_or_belongs_to(candidate, task)) continue;
    found = true;
    rows.query(candidate.run_task_id);
    while (rows.step()) {
      StoredSample sample = sample_of(candidate, rows);
      details.read(rows.integer(0), sample);
      visit(sample);
    }
  }
  if (!found && !task.empty()) {
    bad_input(database.path().string(),
              "run {} has no task or group \"{}\"; `fathom show {}` lists its tasks", run_id, task, run_id);
  }
}

}  // namespace fathom::results
