#include "engine/workspace.h"

#include <algorithm>

#include "kernels/kernels.h"

namespace fathom::engine {
namespace {

using kernels::Dtype;
using kernels::Space;

int64_t widest_mlp(const ModelConfig& c) {
  int64_t widest = 0;
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    widest = std::max(widest,
                      c.is_moe_layer(i) ? c.n_shared_experts * c.moe_intermediate_size : c.intermediate_size);
  }
  return widest;
}

size_t scratch_bytes(const ModelConfig& c, const WorkspaceLimits& limits) {
  const kernels::MlaShape shape{c.num_attention_heads, c.qk_nope_head_dim, c.qk_rope_head_dim, c.v_head_dim,
                                c.kv_lora_rank};
  size_t bytes = std::max({kernels::mla_expanded_scratch_bytes(shape, limits.max_rows, limits.max_runs),
                           kernels::mla_absorbed_scratch_bytes(shape, limits.max_rows),
                           kernels::sample_scratch_bytes(limits.max_head_rows, c.vocab_size)});
  if (c.n_routed_experts > 0) {
    bytes =
        std::max(bytes, kernels::expert_mlps_scratch_bytes(limits.max_rows, c.n_routed_experts,
                                                           c.num_experts_per_tok, c.moe_intermediate_size));
  }
  return bytes;
}

}  // namespace

Activation::Activation(Space space, Dtype dtype, int64_t rows, int64_t width)
    : buffer_(space, static_cast<size_t>(rows * width) * kernels::dtype_bytes(dtype)),
      dtype_(dtype),
      width_(width) {}

Workspace::Workspace(Space space, const ModelConfig& c, const WorkspaceLimits& l)
    : limits(l),
      inv_freq(space, Dtype::kF32, c.qk_rope_head_dim / 2, 1),
      rope_table(space, Dtype::kF32, l.max_rows, c.qk_rope_head_dim),
      x(space, Dtype::kF32, l.max_rows, c.hidden_size),
      normed(space, Dtype::kF32, l.max_rows, c.hidden_size),
      delta(space, Dtype::kF32, l.max_rows, c.hidden_size),
      q_latent(space, Dtype::kF32, l.max_rows, c.q_lora_rank.value_or(0)),
      q(space, Dtype::kF32, l.max_rows, c.num_attention_heads * c.qk_head_dim()),
      kv(space, Dtype::kF32, l.max_rows, c.latent_dim()),
      attended(space, Dtype::kF32, l.max_rows, c.num_attention_heads * c.v_head_dim),
      mlp_rows(std::min<int64_t>(l.max_rows, 256)),
      gate(space, Dtype::kF32, mlp_rows, widest_mlp(c)),
      up(space, Dtype::kF32, mlp_rows, widest_mlp(c)),
      router_logits(space, Dtype::kF32, l.max_rows, c.n_routed_experts),
      expert_weights(space, Dtype::kF32, l.max_rows, c.num_experts_per_tok),
      routes(static_cast<size_t>(c.num_hidden_layers)),
      head_rows(space, Dtype::kI32, l.max_head_rows, 1),
      head_hidden(space, Dtype::kF32, l.max_head_rows, c.hidden_size),
      logits(space, Dtype::kF32, l.max_head_rows, c.vocab_size),
      offsets(space, Dtype::kI32, l.max_head_rows + 1, 1),
      targets(space, Dtype::kI32, l.max_targets, 1),
      logprobs(space, Dtype::kF32, l.max_targets, 1),
      argmax(space, Dtype::kI32, l.max_head_rows, 1),
      top_ids(space, Dtype::kI32, l.max_top, 1),
      top_logprobs(space, Dtype::kF32, l.max_top, 1),
      flags(space, Dtype::kI32, 2 * c.num_hidden_layers + 1, 1),
      scratch(space, scratch_bytes(c, l)) {
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    if (!c.is_moe_layer(i)) continue;
    routes[static_cast<size_t>(i)] = Activation(space, Dtype::kI32, l.max_rows, c.num_experts_per_tok);
  }
}

}  // namespace fathom::engine
