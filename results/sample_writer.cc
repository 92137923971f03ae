#include "results/sample_writer.h"

#include <bit>
#include <cmath>
#include <set>

#include "base/clock.h"
#include "base/error.h"

namespace fathom::results {
namespace {

static_assert(std::endian::native == std::endian::little, "blobs are little-endian");

template <typename T>
std::optional<Bytes> bytes_or_null(const std::vector<T>& values) {
  if (values.empty()) return std::nullopt;
  return Bytes(reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T));
}

// Bit i of the bytes is bits[i].
std::vector<uint8_t> packed(const std::vector<bool>& bits) {
  std::vector<uint8_t> bytes((bits.size() + 7) / 8);
  for (size_t i = 0; i < bits.size(); ++i) {
    if (bits[i]) bytes[i / 8] |= static_cast<uint8_t>(1u << (i % 8));
  }
  return bytes;
}

std::optional<std::string_view> text_or_null(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return text;
}

// A score that breaks its own declaration is a bug of the scorer; it must not reach an average.
void check_score(const ScoringRecord& scoring, const ScoreRecord& score) {
  const bool is_error = score.outcome == ScoreOutcome::kError;
  FATHOM_CHECK(score.value.has_value() != is_error, "{}: a value exactly when there is no error",
               scoring.metric);
  if (is_error) return;
  const double value = *score.value;
  FATHOM_CHECK(std::isfinite(value), "{} is {}", scoring.metric, value);
  if (scoring.kind == ScoreKind::kBinary) {
    FATHOM_CHECK(value == 0.0 || value == 1.0, "binary score {} is {}", scoring.metric, value);
  } else if (scoring.kind == ScoreKind::kBounded) {
    FATHOM_CHECK(scoring.low <= value && value <= scoring.high, "score {} is {}, outside [{}, {}]",
                 scoring.metric, value, scoring.low, scoring.high);
  }
}

}  // namespace

SampleWriter::SampleWriter(Database& db)
    : insert_text_(db.prepare("INSERT INTO text(sha256, content) VALUES(?, ?) ON CONFLICT DO NOTHING")),
      select_text_(db.prepare("SELECT text_id FROM text WHERE sha256 = ?")),
      insert_prompt_(db.prepare("INSERT INTO prompt(ids_sha256, text_sha256, n_tokens, text_id, recipe)"
                                " VALUES(?, ?, ?, ?, ?) RETURNING prompt_id")),
      select_prompt_(db.prepare("SELECT prompt_id FROM prompt WHERE ids_sha256 = ? AND text_sha256 = ?")),
      delete_error_(
          db.prepare("DELETE FROM sample WHERE run_task_id = ? AND doc_id = ? AND rep = ? AND status <> 0"
                     " RETURNING 1")),
      insert_sample_(db.prepare(
          "INSERT INTO sample(run_task_id, doc_id, rep, attempt, prompt_id, status, finish, flags, n_prompt,"
          "  n_cached, n_truncated, n_output, gold, queue_us, first_token_us, total_us, done_us)"
          " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
          " ON CONFLICT(run_task_id, doc_id, rep) DO NOTHING RETURNING sample_id")),
      insert_io_(db.prepare("INSERT INTO sample_io(sample_id, choice_logprobs, choice_greedy, output,"
                            "  output_ids, output_logprobs, error) VALUES(?, ?, ?, ?, ?, ?, ?)")),
      insert_score_(db.prepare("INSERT INTO score(scoring_id, sample_id, value, outcome, answer, why)"
                               " VALUES(?, ?, ?, ?, ?, ?)")),
      count_verdicts_(db.prepare("SELECT count(*) FROM sandbox_verdict WHERE sample_id = ?")),
      insert_verdict_(db.prepare(
          "INSERT INTO sandbox_verdict(sample_id, execution, verdict, detail, signal, wall_us, cpu_us,"
          "  peak_rss_bytes, policy_sha256) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)")) {}

CountChange SampleWriter::write(const WrittenTask& task, int64_t attempt, const SampleRecord& sample) {
  FATHOM_CHECK(sample.doc < task.doc_ids.size(), "document {} of {}", sample.doc, task.doc_ids.size());
  FATHOM_CHECK(sample.rep >= 0 && sample.rep < task.n_reps, "repeat {} of {}", sample.rep, task.n_reps);
  const int64_t doc_id = task.doc_ids[sample.doc];
  CountChange change;
  if (delete_error_.find_integer(task.run_task_id, doc_id, sample.rep)) change = {-1, -1};
  const std::optional<int64_t> sample_id = insert_sample_.find_integer(
      task.run_task_id, doc_id, sample.rep, attempt, prompt_id(sample.prompt),
      static_cast<int>(sample.status), static_cast<int>(sample.finish), sample.flags, sample.n_prompt,
      sample.n_cached, sample.n_truncated, sample.output_ids.size(), sample.gold, sample.queue_us,
      sample.first_token_us, sample.total_us, unix_time_us());
  if (!sample_id) return change;  // already stored
  write_io(*sample_id, sample);
  if (sample.status == SampleStatus::kAnswered) {
    add_scores(task, *sample_id, sample.scores);
  } else {
    FATHOM_CHECK(sample.scores.empty(), "{}: a sample without an answer has scores", task.name);
  }
  add_verdicts(*sample_id, sample.verdicts);
  change.n_stored += 1;
  change.n_errors += sample.status == SampleStatus::kError ? 1 : 0;
  return change;
}

int64_t SampleWriter::prompt_id(const PromptRecord& prompt) {
  const std::optional<int64_t> known = select_prompt_.find_integer(prompt.ids_sha256, prompt.text_sha256);
  if (known) return *known;
  std::optional<int64_t> text_id;
  if (prompt.text) {
    insert_text_.run(prompt.text_sha256, *prompt.text);
    text_id = select_text_.find_integer(prompt.text_sha256);
  }
  const std::optional<int64_t> id = insert_prompt_.find_integer(prompt.ids_sha256, prompt.text_sha256,
                                                                prompt.n_tokens, text_id, prompt.recipe_json);
  FATHOM_CHECK(id);
  return *id;
}

void SampleWriter::write_io(int64_t sample_id, const SampleRecord& sample) {
  FATHOM_CHECK(sample.choice_greedy.size() == sample.choice_logprobs.size());
  const std::vector<uint8_t> greedy = packed(sample.choice_greedy);
  insert_io_.run(sample_id, bytes_or_null(sample.choice_logprobs), bytes_or_null(greedy),
                 text_or_null(sample.output), bytes_or_null(sample.output_ids),
                 bytes_or_null(sample.output_logprobs), text_or_null(sample.error));
}

void SampleWriter::add_scores(const WrittenTask& task, int64_t sample_id,
                              const std::vector<ScoreRecord>& scores) {
  std::set<size_t> seen;
  for (const ScoreRecord& score : scores) {
    FATHOM_CHECK(score.scoring < task.scorings.size() && seen.insert(score.scoring).second,
                 "scoring {} of task {}", score.scoring, task.name);
    check_score(task.scorings[score.scoring], score);
    insert_score_.run(task.scoring_ids[score.scoring], sample_id, score.value,
                      static_cast<int>(score.outcome), score.answer, text_or_null(score.why));
  }
  FATHOM_CHECK(seen.size() == task.scorings.size(), "task {} has {} scorings, the sample {} scores",
               task.name, task.scorings.size(), seen.size());
}

void SampleWriter::add_verdicts(int64_t sample_id, const std::vector<VerdictRecord>& verdicts) {
  if (verdicts.empty()) return;
  int64_t execution = count_verdicts_.find_integer(sample_id).value();
  for (const VerdictRecord& verdict : verdicts) {
    insert_verdict_.run(sample_id, execution++, verdict.verdict, verdict.detail, verdict.signal,
                        verdict.wall_us, verdict.cpu_us, verdict.peak_rss_bytes, verdict.policy_sha256);
  }
}

}  // namespace fathom::results
