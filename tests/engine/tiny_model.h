// A tiny checkpoint on disk with the forward pass over it: what the tests of the engine's numbers share.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "engine/checkpoint.h"
#include "engine/device_weights.h"
#include "engine/forward.h"
#include "engine/latent_cache.h"
#include "kernels/device.h"
#include "tests/engine/golden_weights.h"
#include "tests/temporary_folder.h"

namespace fathom::engine {

/// What one sequence is worth, position by position.
struct Scores {
  std::vector<float> logprobs;               // [n]: log p(ids[i] | ids[< i]); 0 at 0
  std::vector<TokenId> argmax;               // [n]
  std::vector<std::vector<int32_t>> routes;  // per layer [n k], empty for dense layers

  double sum() const;
};

/// How the sequence is fed. Neither may change a bit within one form.
struct Feeding {
  AttentionForm form = AttentionForm::kExpanded;
  std::vector<int64_t> chunks = {};  // sizes of the forward passes; the rest goes in one
};

class TinyModel {
 public:
  explicit TinyModel(const nlohmann::json& config, const golden::Format& format = {}, int n_threads = 2,
                     kernels::Compute compute = kernels::Compute::kF32);
  explicit TinyModel(char which);

  Scores score(const std::vector<TokenId>& ids, const Feeding& feeding = {});

  /// log p of every id after the last of `ids`, by id.
  std::vector<float> distribution(const std::vector<TokenId>& ids, const Feeding& feeding = {});

  const ModelConfig& config() const { return checkpoint_->config(); }
  std::shared_ptr<const Checkpoint> checkpoint() const { return checkpoint_; }
  LatentCache& cache() { return *cache_; }
  Forward& forward() { return *forward_; }

  static constexpr int64_t kMaxPositions = 5000;
  static constexpr int64_t kMaxRows = 1024;

 private:
  /// Feeds ids; after_chunk(begin, n) sees the chunk's rows.
  template <typename AfterChunk>
  void feed(const std::vector<TokenId>& ids, const Feeding& feeding, const AfterChunk& after_chunk);

  testing::TemporaryFolder folder_;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<kernels::OwnedStream> stream_;
  DeviceWeights device_weights_;  // empty on the CPU
  std::unique_ptr<LatentCache> cache_;
  std::unique_ptr<Forward> forward_;
};

}  // namespace fathom::engine
