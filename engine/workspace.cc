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

// Inputs of the widest matrix.
int64_t widest_inputs(const ModelConfig& c) {
  return std::max({c.hidden_size, c.q_lora_rank.value_or(0), c.num_attention_heads * c.v_head_dim,
                   widest_mlp(c), c.moe_intermediate_size});
}

size_t scratch_bytes(const kernels::Stream& stream, const ModelConfig& c, const WorkspaceLimits& limits) {
  const kernels::MlaShape shape{c.num_attention_heads, c.qk_nope_head_dim, c.qk_rope_head_dim, c.v_head_dim,
                                c.kv_lora_rank};
  size_t bytes =
      std::max({kernels::mla_expanded_scratch_bytes(stream, shape, limits.max_rows, limits.max_runs),
                kernels::mla_absorbed_scratch_bytes(stream, shape, limits.max_rows),
                kernels::sample_scratch_bytes(stream, limits.max_head_rows, c.vocab_size),
                kernels::linear_scratch_bytes(stream, limits.compute, limits.max_rows, widest_inputs(c))});
  if (c.n_routed_experts > 0) {
    bytes = std::max(bytes,
                     kernels::expert_mlps_scratch_bytes(stream, {.max_rows = limits.max_rows,
                                                                 .n_experts = c.n_routed_experts,
                                                                 .experts_per_token = c.num_experts_per_tok,
                                                                 .hidden = c.hidden_size,
                                                                 .width = c.moe_intermediate_size,
                                                                 .compute = limits.compute}));
  }
  return bytes;
}

}  // namespace

Activation::Activation(Space space, Dtype dtype, int64_t rows, int64_t width)
    : buffer_(space, static_cast<size_t>(rows * width) * kernels::dtype_bytes(dtype)),
      dtype_(dtype),
      width_(width) {}

Workspace::Workspace(const kernels::Stream& stream, const ModelConfig& c, const WorkspaceLimits& l)
    : limits(l),
      inv_freq(stream.space, Dtype::kF32, c.qk_rope_head_dim / 2, 1),
      rope_table(stream.space, Dtype::kF32, l.max_rows, c.qk_rope_head_dim),
      x(stream.space, Dtype::kF32, l.max_rows, c.hidden_size),
      normed(stream.space, Dtype::kF32, l.max_rows, c.hidden_size),
      delta(stream.space, Dtype::kF32, l.max_rows, c.hidden_size),
      q_latent(stream.space, Dtype::kF32, l.max_rows, c.q_lora_rank.value_or(0)),
      q(stream.space, Dtype::kF32, l.max_rows, c.num_attention_heads * c.qk_head_dim()),
      kv(stream.space, Dtype::kF32, l.max_rows, c.latent_dim()),
      attended(stream.space, Dtype::kF32, l.max_rows, c.num_attention_heads * c.v_head_dim),
      // A device needs many rows at a time to be full.
      mlp_rows(stream.space == kernels::Space::kCpu ? std::min<int64_t>(l.max_rows, 256) : l.max_rows),
      gate(stream.space, Dtype::kF32, mlp_rows, widest_mlp(c)),
      up(stream.space, Dtype::kF32, mlp_rows, widest_mlp(c)),
      router_logits(stream.space, Dtype::kF32, l.max_rows, c.n_routed_experts),
      expert_weights(stream.space, Dtype::kF32, l.max_rows, c.num_experts_per_tok),
      routes(static_cast<size_t>(c.num_hidden_layers)),
      head_rows(stream.space, Dtype::kI32, l.max_head_rows, 1),
      head_hidden(stream.space, Dtype::kF32, l.max_head_rows, c.hidden_size),
      logits(stream.space, Dtype::kF32, l.max_head_rows, c.vocab_size),
      offsets(stream.space, Dtype::kI32, l.max_head_rows + 1, 1),
      targets(stream.space, Dtype::kI32, l.max_targets, 1),
      logprobs(stream.space, Dtype::kF32, l.max_targets, 1),
      argmax(stream.space, Dtype::kI32, l.max_head_rows, 1),
      top_ids(stream.space, Dtype::kI32, l.max_top, 1),
      top_logprobs(stream.space, Dtype::kF32, l.max_top, 1),
      flags(stream.space, Dtype::kI32, 2 * c.num_hidden_layers + 1, 1),
      scratch(stream.space, scratch_bytes(stream, c, l)) {
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    if (!c.is_moe_layer(i)) continue;
    routes[static_cast<size_t>(i)] = Activation(stream.space, Dtype::kI32, l.max_rows, c.num_experts_per_tok);
  }
}

}  // namespace fathom::engine
