// The simplest engine there can be: one request, one sequence, one pass after another, nothing shared. What
// the scheduler's answers are compared with, bit for bit.
#pragma once

#include "base/thread_pool.h"
#include "engine/checkpoint.h"
#include "engine/engine.h"
#include "engine/forward.h"
#include "engine/latent_cache.h"

namespace fathom::engine {

class OneAtATime {
 public:
  explicit OneAtATime(std::shared_ptr<const Checkpoint> checkpoint,
                      kernels::LatentFormat kv = kernels::LatentFormat::kF32);

  ScoreResult score(const ScoreRequest& request);
  /// No stop strings, no EOS, no text.
  GenerateResult generate(const GenerateRequest& request);

 private:
  static constexpr int64_t kMaxPositions = 1024;

  /// Feeds ids in one pass; rows 0 .. n - 1 are theirs.
  void feed(std::span<const TokenId> ids, int64_t first_position, AttentionForm form);

  std::shared_ptr<const Checkpoint> checkpoint_;
  ThreadPool pool_;
  LatentCache cache_;
  CachedSequence sequence_;
  Forward forward_;
};

}  // namespace fathom::engine
