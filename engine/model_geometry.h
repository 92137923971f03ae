// ModelGeometry: what a configuration weighs, counted from the tensor table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/config.h"
#include "engine/tensor_table.h"

namespace fathom::engine {

/// One row of the tensor table, evaluated. Counted in the per-expert layout; the stacked one has the same
/// numbers.
struct TensorSummary {
  const TensorRow* row = nullptr;
  std::vector<int64_t> shape;
  int64_t n_tensors = 0;
  int64_t parameters = 0;
  int64_t active_parameters = 0;  ///< of one token: num_experts_per_tok of the routed experts
};

/// Elements of attention state that one token leaves behind, all layers together.
struct CacheGeometry {
  int64_t latent = 0;    ///< fathom's cache: (kv_lora_rank + qk_rope_head_dim) * L
  int64_t expanded = 0;  ///< per-head keys and values, as the original code caches: H * (dn + dr + dv) * L
  int64_t mha = 0;       ///< multi-head attention of these heads: H * (dn + dv) * L, the report's 2 H d L
  int64_t gqa = 0;       ///< grouped-query attention with gqa_groups: groups * (dn + dv) * L
  int64_t mqa = 0;       ///< multi-query attention: (dn + dv) * L
  int64_t gqa_groups = 8;
  double latent_in_gqa_groups = 0;  ///< groups of a GQA cache as large as the latent one
};

struct ModelGeometry {
  std::vector<TensorSummary> tensors;
  int64_t n_tensors = 0;
  int64_t parameters = 0;
  int64_t active_parameters = 0;  ///< of one token, the whole embedding and head included
  /// Without the input embedding, of which a token reads one row. A tied embedding still counts: it is the
  /// head.
  int64_t active_without_input_embedding = 0;
  int64_t active_without_embedding_and_head = 0;
  int64_t n_moe_layers = 0;
  CacheGeometry cache;
};

/// Throws Error{kBadInput} when a count does not fit int64.
ModelGeometry measure_geometry(const ModelConfig& config);

/// Elements per token of DeepSeek 67B's cache, which the DeepSeek-V2 report compares with: 95 layers,
/// grouped-query attention with 8 groups of 128, keys and values.
inline constexpr int64_t kDeepseek67bCacheElements = int64_t{2} * 8 * 128 * 95;

/// 1 - (elements * bits) / (other_elements * other_bits): 0.822 for DeepSeek-V2 at equal precision, 0.933
/// with 6 bits against 16, which is what the report's "93.3 %" combines.
double cache_reduction(int64_t elements, double bits, int64_t other_elements, double other_bits);

}  // namespace fathom::engine
