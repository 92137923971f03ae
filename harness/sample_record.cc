#include "harness/sample_record.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/sha256.h"
#include "scorers/scorer.h"

namespace fathom::harness {
namespace {

// Prompts longer than this are stored by their recipe, when they have one: a needle grid at 128K tokens would
// fill the database with the same filler text.
constexpr size_t kLongestStoredPrompt = 64 << 10;

int64_t microseconds(double seconds) {
  return static_cast<int64_t>(seconds * 1e6);
}

results::Finish stored_finish(engine::FinishReason reason) {
  return results::finish_from_name(engine::finish_reason_name(reason));
}

results::ScoreOutcome stored_outcome(scorers::Outcome outcome) {
  return results::outcome_from_name(scorers::outcome_name(outcome));
}

}  // namespace

results::SampleRecord begin_record(const WorkItem& item) {
  results::SampleRecord record;
  record.task = item.task;
  record.doc = item.doc;
  record.rep = item.rep;
  record.flags = item.request.flags;
  record.n_truncated = item.request.n_truncated;
  record.n_prompt = static_cast<int64_t>(item.request.context().size());
  record.prompt.ids_sha256 = digest_from_hex(item.request.ids_sha256()).value();
  record.prompt.text_sha256 = sha256(item.request.text);
  record.prompt.n_tokens = record.n_prompt;
  if (!item.prompt.recipe.is_null()) record.prompt.recipe_json = item.prompt.recipe.dump();
  if (item.request.text.size() <= kLongestStoredPrompt || item.prompt.recipe.is_null()) {
    record.prompt.text = item.request.text;
  }
  return record;
}

std::optional<scorers::Response> add_answer(const engine::Completion& completion, const tasks::Sample& sample,
                                            results::SampleRecord& record) {
  record.n_cached = completion.timing.cached_tokens;
  record.queue_us = microseconds(completion.timing.queue_s);
  record.first_token_us = microseconds(completion.timing.first_token_s);
  record.total_us = microseconds(completion.timing.total_s);

  if (const auto* failure = std::get_if<engine::RequestFailure>(&completion.result)) {
    record.status = results::SampleStatus::kError;
    record.finish = results::Finish::kNone;
    record.error = failure->message;
    return std::nullopt;
  }
  scorers::Response response;
  if (const auto* scored = std::get_if<engine::ScoreResult>(&completion.result)) {
    for (const engine::ContinuationScore& continuation : scored->continuations) {
      response.choice_logprobs.push_back(continuation.sum_logprob);
      response.is_greedy.push_back(continuation.is_greedy);
    }
    response.finish_reason = "scored";
    record.choice_logprobs = response.choice_logprobs;
    record.choice_greedy = response.is_greedy;
    record.finish = results::Finish::kScored;
    const auto gold = sample.fields.find("gold");
    if (gold != sample.fields.end() && gold->is_number_integer()) record.gold = gold->get<int64_t>();
    return response;
  }
  const auto& generated = std::get<engine::GenerateResult>(completion.result);
  response.text = generated.text;
  response.finish_reason = std::string(engine::finish_reason_name(generated.finish_reason));
  record.finish = stored_finish(generated.finish_reason);
  record.output = generated.text;
  record.output_ids.assign(generated.ids.begin(), generated.ids.end());
  return response;
}

CodeJob code_job(const tasks::Task& task, const tasks::Sample& sample, std::string_view text, uint64_t id) {
  return {.id = id,
          .prompt = sample.fields.at("prompt").get<std::string>(),
          .completion = std::string(scorers::code_completion(task.scorer, text)),
          .test = sample.fields.at("test").get<std::string>(),
          .entry_point = sample.fields.at("entry_point").get<std::string>()};
}

void add_scores(const scorers::SampleScore& score, results::SampleRecord& record) {
  record.flags |= score.flags;
  record.scores = score_records(score);
}

std::vector<results::ScoreRecord> score_records(const scorers::SampleScore& score) {
  std::vector<results::ScoreRecord> records;
  for (size_t i = 0; i < score.scores.size(); ++i) {
    const scorers::Score& one = score.scores[i];
    records.push_back({.scoring = i,
                       .value = one.value,
                       .outcome = stored_outcome(one.outcome),
                       .answer = one.answer,
                       .why = one.explanation});
  }
  return records;
}

uint64_t sample_seed(uint64_t run_seed, const Sha256Digest& document, int64_t rep) {
  Sha256 hash;
  hash.update(fmt::format("{}\n{}\n{}", run_seed, to_hex(document), rep));
  const Sha256Digest digest = hash.finish();
  uint64_t seed = 0;
  for (int i = 0; i < 8; ++i) seed = seed << 8 | digest[static_cast<size_t>(i)];
  return seed;
}

Sha256Digest document_sha256(const tasks::Sample& sample) {
  const nlohmann::json document = {
      {"fields", sample.fields}, {"key", sample.doc_key}, {"target", sample.target}};
  return sha256(document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace fathom::harness
