#include "tests/engine/tiny_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/space_under_test.h"

namespace fathom::engine {

double Scores::sum() const {
  double sum = 0.0;
  for (float logprob : logprobs) sum += logprob;
  return sum;
}

TinyModel::TinyModel(char which) : TinyModel(golden::config(which)) {}

TinyModel::TinyModel(const nlohmann::json& config, const golden::Format& format, int n_threads,
                     kernels::Compute compute) {
  golden::write_checkpoint(folder_.path(), config, golden::tensors(config, format));
  checkpoint_ = std::make_shared<const Checkpoint>(Checkpoint::load(folder_.path()));
  pool_ = std::make_unique<ThreadPool>(n_threads);
  stream_ = std::make_unique<kernels::OwnedStream>(kernels::space_under_test(), pool_.get());
  const kernels::Stream& stream = stream_->stream();
  const bool on_cpu = stream.space == kernels::Space::kCpu;
  if (!on_cpu) device_weights_ = upload_weights(stream, checkpoint_->weights());
  cache_ = std::make_unique<LatentCache>(stream.space, this->config(),
                                         4 * (kMaxPositions / kernels::kBlockTokens + 1));
  WorkspaceLimits limits;
  limits.max_rows = kMaxRows;
  limits.max_runs = 64;
  limits.max_positions = kMaxPositions;
  limits.max_top = this->config().vocab_size;
  limits.compute = compute;
  forward_ = std::make_unique<Forward>(
      this->config(), on_cpu ? checkpoint_->weights() : device_weights_.weights, *cache_, stream, limits);
}

template <typename AfterChunk>
void TinyModel::feed(const std::vector<TokenId>& ids, const Feeding& feeding, const AfterChunk& after_chunk) {
  CachedSequence sequence(*cache_);
  sequence.reserve(static_cast<int64_t>(ids.size()));
  size_t begin = 0;
  for (size_t i = 0; begin < ids.size(); ++i) {
    const size_t wanted = static_cast<size_t>(i < feeding.chunks.size() ? feeding.chunks[i] : kMaxRows);
    const size_t n = std::min({wanted, ids.size() - begin, static_cast<size_t>(kMaxRows)});
    const Run run{std::span(ids).subspan(begin, n), static_cast<int64_t>(begin), sequence.blocks(),
                  feeding.form};
    forward_->run({&run, 1});
    after_chunk(begin, n);
    begin += n;
  }
}

Scores TinyModel::score(const std::vector<TokenId>& ids, const Feeding& feeding) {
  Scores scores;
  scores.logprobs.resize(ids.size());
  scores.routes.resize(static_cast<size_t>(config().num_hidden_layers));
  feed(ids, feeding, [&](size_t begin, size_t n) {
    std::vector<ScoredRow> rows;
    for (size_t i = 0; i < n; ++i) {
      const size_t n_targets = begin + i + 1 < ids.size() ? 1 : 0;
      rows.push_back({static_cast<int64_t>(i),
                      std::span(ids).subspan(begin + i + 1 - (1 - n_targets), n_targets),
                      std::span(scores.logprobs).subspan(begin + i + n_targets, n_targets)});
    }
    forward_->score(rows);
    for (const ScoredRow& row : rows) scores.argmax.push_back(row.argmax);
    for (size_t layer = 0; layer < scores.routes.size(); ++layer) {
      const std::vector<int32_t> experts = forward_->routes(static_cast<int64_t>(layer));
      scores.routes[layer].insert(scores.routes[layer].end(), experts.begin(), experts.end());
    }
  });
  return scores;
}

std::vector<float> TinyModel::distribution(const std::vector<TokenId>& ids, const Feeding& feeding) {
  feed(ids, feeding, [](size_t, size_t) {});
  const auto vocab = static_cast<size_t>(config().vocab_size);
  std::vector<TokenId> order(vocab);
  std::vector<float> sorted(vocab);
  forward_->top(forward_->n_rows() - 1, order, sorted);
  std::vector<float> logprobs(vocab);
  for (size_t i = 0; i < vocab; ++i) logprobs[static_cast<size_t>(order[i])] = sorted[i];
  return logprobs;
}

}  // namespace fathom::engine
