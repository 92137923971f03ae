#include "engine/latent_cache.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "kernels/kernels.h"

namespace fathom::engine {

using kernels::kBlockTokens;

LatentCache::LatentCache(kernels::Space space, const ModelConfig& config, int64_t n_blocks)
    : n_blocks_(n_blocks), latent_dim_(config.latent_dim()), free_(static_cast<size_t>(n_blocks)) {
  const size_t layer_bytes =
      static_cast<size_t>(n_blocks * kBlockTokens * latent_dim_) * kernels::dtype_bytes(kernels::Dtype::kF32);
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) layers_.emplace_back(space, layer_bytes);
  std::iota(free_.begin(), free_.end(), 0);  // ascending: already a min-heap
}

kernels::Tensor LatentCache::layer(int64_t i) const {
  return layers_[static_cast<size_t>(i)].tensor(kernels::Dtype::kF32, {n_blocks_, kBlockTokens, latent_dim_});
}

int32_t LatentCache::take() {
  FATHOM_CHECK(!free_.empty(), "all {} blocks are in use", n_blocks_);
  std::pop_heap(free_.begin(), free_.end(), std::greater<>());
  const int32_t block = free_.back();
  free_.pop_back();
  return block;
}

void LatentCache::give_back(std::span<const int32_t> blocks) {
  for (int32_t block : blocks) {
    free_.push_back(block);
    std::push_heap(free_.begin(), free_.end(), std::greater<>());
  }
}

int64_t LatentCache::token_bytes(const ModelConfig& config) {
  return config.num_hidden_layers * config.latent_dim() *
         static_cast<int64_t>(kernels::dtype_bytes(kernels::Dtype::kF32));
}

void CachedSequence::reserve(int64_t n_tokens) {
  while (static_cast<int64_t>(blocks_.size()) * kBlockTokens < n_tokens) blocks_.push_back(cache_->take());
}

}  // namespace fathom::engine
