#include "tests/engine/one_at_a_time.h"

namespace fathom::engine {
namespace {

WorkspaceLimits limits(int64_t max_positions) {
  WorkspaceLimits limits;
  limits.max_rows = max_positions;
  limits.max_runs = 1;
  limits.max_positions = max_positions;
  return limits;
}

}  // namespace

OneAtATime::OneAtATime(std::shared_ptr<const Checkpoint> checkpoint, kernels::LatentFormat kv)
    : checkpoint_(std::move(checkpoint)),
      pool_(1),
      cache_(kernels::Space::kCpu, checkpoint_->config(), blocks_for(kMaxPositions), kv),
      sequence_(cache_),
      forward_(checkpoint_->config(), checkpoint_->weights(), cache_, {kernels::Space::kCpu, &pool_},
               limits(kMaxPositions)) {
  sequence_.reserve(kMaxPositions);
}

void OneAtATime::feed(std::span<const TokenId> ids, int64_t first_position, AttentionForm form) {
  const Run run{ids, first_position, sequence_.blocks(), form};
  forward_.run({&run, 1});
}

ScoreResult OneAtATime::score(const ScoreRequest& request) {
  ScoreResult result;
  for (const std::vector<TokenId>& continuation : request.continuations) {
    std::vector<TokenId> ids = request.context;
    ids.insert(ids.end(), continuation.begin(), continuation.end() - 1);
    feed(ids, 0, AttentionForm::kExpanded);
    ContinuationScore score{.logprobs = std::vector<float>(continuation.size()), .is_greedy = true};
    std::vector<ScoredRow> rows;
    for (size_t i = 0; i < continuation.size(); ++i) {
      rows.push_back({static_cast<int64_t>(request.context.size() + i) - 1,
                      std::span(continuation).subspan(i, 1), std::span(score.logprobs).subspan(i, 1)});
    }
    forward_.score(rows);
    for (size_t i = 0; i < rows.size(); ++i) {
      score.is_greedy = score.is_greedy && rows[i].argmax == continuation[i];
      score.sum_logprob += score.logprobs[i];
    }
    result.continuations.push_back(std::move(score));
  }
  return result;
}

GenerateResult OneAtATime::generate(const GenerateRequest& request) {
  GenerateResult result;
  auto position = static_cast<int64_t>(request.prompt.size());
  if (request.max_tokens > 0) feed(request.prompt, 0, AttentionForm::kExpanded);
  while (static_cast<int64_t>(result.ids.size()) < request.max_tokens) {
    if (!result.ids.empty()) feed(std::span(result.ids).last(1), position++, AttentionForm::kAbsorbed);
    DrawnRow row{.row = forward_.n_rows() - 1,
                 .sampling = {.temperature = static_cast<float>(request.sampling.temperature),
                              .top_p = static_cast<float>(request.sampling.top_p),
                              .seed = request.sampling.seed,
                              .position = position}};
    forward_.sample({&row, 1});
    result.ids.push_back(row.id);
    result.logprobs.push_back(row.logprob);
  }
  return result;
}

}  // namespace fathom::engine
