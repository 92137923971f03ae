// quantise_checkpoint: what `fathom model quantize` does.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/thread_pool.h"
#include "engine/quantization.h"

namespace fathom::engine {

struct QuantisedCheckpoint {
  int64_t n_quantised = 0;  ///< matrices
  int64_t n_kept = 0;       ///< tensors copied as they were
  uint64_t bytes_before = 0;
  uint64_t bytes_after = 0;  ///< of the weight files
};

/// Writes the checkpoint `in` to the folder `out` with its linear matrices quantised; embedding, norms,
/// routers, kv_b_proj and lm_head are copied as they are, the tokenizer's files too. Works shard by shard in
/// a folder beside `out`, which takes the name `out` when everything in it has been loaded once. Throws
/// Error{kBadInput}: `in` is no plain checkpoint, `out` is there and not empty, the disk is full.
QuantisedCheckpoint quantise_checkpoint(const std::filesystem::path& in, const std::filesystem::path& out,
                                        const Quantization& quantization, ThreadPool& pool);

}  // namespace fathom::engine
