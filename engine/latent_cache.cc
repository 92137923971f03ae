#include "engine/latent_cache.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "kernels/kernels.h"

namespace fathom::engine {

using kernels::kBlockTokens;

LatentCache::LatentCache(kernels::Space space, const ModelConfig& config, int64_t n_blocks,
                         kernels::LatentFormat format)
    : n_blocks_(n_blocks),
      layout_(format, config.kv_lora_rank, config.qk_rope_head_dim),
      copied_rows_(space, static_cast<size_t>(kBlockTokens) * kernels::dtype_bytes(kernels::Dtype::kI32)),
      references_(static_cast<size_t>(n_blocks)),
      free_(static_cast<size_t>(n_blocks)) {
  const auto layer_bytes = static_cast<size_t>(n_blocks * kBlockTokens * layout_.row_bytes);
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) layers_.emplace_back(space, layer_bytes);
  std::iota(free_.begin(), free_.end(), 0);  // ascending: already a min-heap
}

kernels::Tensor LatentCache::layer(int64_t i) const {
  const kernels::Buffer& buffer = layers_[static_cast<size_t>(i)];
  if (format() == kernels::LatentFormat::kF32)
    return buffer.tensor(kernels::Dtype::kF32, {n_blocks_, kBlockTokens, layout_.row_words()});
  return buffer.tensor(kernels::Dtype::kU8, {n_blocks_, kBlockTokens, layout_.row_bytes});
}

int32_t LatentCache::take() {
  FATHOM_CHECK(!free_.empty(), "all {} blocks are in use", n_blocks_);
  std::pop_heap(free_.begin(), free_.end(), std::greater<>());
  const int32_t block = free_.back();
  free_.pop_back();
  references_[static_cast<size_t>(block)] = 1;
  return block;
}

void LatentCache::keep(std::span<const int32_t> blocks) {
  for (int32_t block : blocks) {
    FATHOM_CHECK(n_references(block) > 0, "block {} is free", block);
    ++references_[static_cast<size_t>(block)];
  }
}

void LatentCache::give_back(std::span<const int32_t> blocks) {
  for (int32_t block : blocks) {
    FATHOM_CHECK(n_references(block) > 0, "block {} is free", block);
    if (--references_[static_cast<size_t>(block)] > 0) continue;
    free_.push_back(block);
    std::push_heap(free_.begin(), free_.end(), std::greater<>());
  }
}

void LatentCache::copy_positions(const kernels::Stream& stream, int32_t from, int32_t to, int64_t n) {
  FATHOM_CHECK(from != to && n <= kBlockTokens, "{} positions of block {} to {}", n, from, to);
  std::vector<int32_t> rows(static_cast<size_t>(n));
  std::iota(rows.begin(), rows.end(), static_cast<int32_t>(from * kBlockTokens));
  const kernels::Tensor indices = copied_rows_.tensor(kernels::Dtype::kI32, {n});
  kernels::upload(stream, std::as_bytes(std::span(rows)), indices);
  for (const kernels::Buffer& layer : layers_) {
    // Whatever the format: gather_rows moves F32 words as they are.
    const kernels::Tensor all =
        layer.tensor(kernels::Dtype::kF32, {n_blocks_ * kBlockTokens, layout_.row_words()});
    kernels::gather_rows(
        stream, {.table = all, .rows = indices, .out = all.rows(to * kBlockTokens, to * kBlockTokens + n)});
  }
}

int64_t LatentCache::token_bytes(const ModelConfig& config, kernels::LatentFormat format) {
  return config.num_hidden_layers *
         kernels::LatentLayout(format, config.kv_lora_rank, config.qk_rope_head_dim).row_bytes;
}

void CachedSequence::share(std::span<const int32_t> blocks) {
  FATHOM_CHECK(blocks_.empty(), "the sequence has {} blocks", blocks_.size());
  cache_->keep(blocks);
  blocks_.assign(blocks.begin(), blocks.end());
}

void CachedSequence::replace(size_t i, int32_t block) {
  cache_->keep({&block, 1});
  cache_->give_back({&blocks_[i], 1});
  blocks_[i] = block;
}

void CachedSequence::reserve(int64_t n_tokens) {
  while (static_cast<int64_t>(blocks_.size()) * kBlockTokens < n_tokens) blocks_.push_back(cache_->take());
}

}  // namespace fathom::engine
