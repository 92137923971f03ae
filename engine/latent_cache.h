// LatentCache: the paged store of what attention needs of past tokens.
//
// Per layer a pool of blocks of 64 tokens, each token one row of kv_lora_rank normed latents and
// qk_rope_head_dim rotated key elements, in one of the formats of kernels/latent_format.h. A block id names
// the same block in every layer; block b of a sequence holds its positions [64 b, 64 b + 64). Blocks are
// counted references: sequences with a common beginning have its full blocks in common. Not thread-safe; one
// owner (the engine) hands out blocks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/config.h"
#include "kernels/buffer.h"
#include "kernels/kernels.h"

namespace fathom::engine {

class LatentCache {
 public:
  /// Room for `n_blocks` blocks in each layer. CPU memory is committed only where it is written.
  LatentCache(kernels::Space space, const ModelConfig& config, int64_t n_blocks,
              kernels::LatentFormat format = kernels::LatentFormat::kF32);

  kernels::LatentFormat format() const { return layout_.format; }
  /// [n_blocks, 64, kv_lora_rank + qk_rope_head_dim] F32; other formats: [n_blocks, 64, bytes of a row] U8
  kernels::Tensor layer(int64_t i) const;

  int64_t n_blocks() const { return n_blocks_; }
  int64_t n_free() const { return static_cast<int64_t>(free_.size()); }
  /// The lowest-numbered free block, with one reference; there must be one.
  int32_t take();
  /// One more reference to each.
  void keep(std::span<const int32_t> blocks);
  /// One reference less to each; a block without any is free.
  void give_back(std::span<const int32_t> blocks);
  int32_t n_references(int32_t block) const { return references_[static_cast<size_t>(block)]; }

  /// Copies the first n positions of a block, in every layer.
  void copy_positions(const kernels::Stream& stream, int32_t from, int32_t to, int64_t n);

  /// Bytes of one token over all layers.
  static int64_t token_bytes(const ModelConfig& config, kernels::LatentFormat format);

 private:
  int64_t n_blocks_;
  kernels::LatentLayout layout_;
  std::vector<kernels::Buffer> layers_;
  kernels::Buffer copied_rows_;  // [64] I32: what copy_positions reads
  std::vector<int32_t> references_;
  std::vector<int32_t> free_;  // a min-heap, so that low blocks are reused and high ones stay uncommitted
};

/// How many blocks hold n tokens.
constexpr int64_t blocks_for(int64_t n_tokens) {
  return (n_tokens + kernels::kBlockTokens - 1) / kernels::kBlockTokens;
}

/// The blocks of one sequence, given back when it ends.
class CachedSequence {
 public:
  explicit CachedSequence(LatentCache& cache) : cache_(&cache) {}
  ~CachedSequence() { cache_->give_back(blocks_); }
  CachedSequence(const CachedSequence&) = delete;
  CachedSequence& operator=(const CachedSequence&) = delete;

  /// Begins an empty sequence with another's full blocks, which nobody writes any more.
  void share(std::span<const int32_t> blocks);
  /// Takes blocks until `n_tokens` positions have room. The caller has checked that they are free.
  void reserve(int64_t n_tokens);
  /// Refers to `block`, which holds the same, instead of the i-th.
  void replace(size_t i, int32_t block);
  std::span<const int32_t> blocks() const { return blocks_; }

 private:
  LatentCache* cache_;
  std::vector<int32_t> blocks_;
};

}  // namespace fathom::engine
