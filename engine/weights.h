// Weights: views of every tensor of a checkpoint, under the reference's names.
//
// Matrices are stored [out, in], row-major; y = x W^T. The views point into the mapped files of the
// Checkpoint that made them and live as long as it does. A tensor that the configuration does not have has
// data == nullptr. Symbols as in engine/shape_expression.h.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "kernels/tensor.h"

namespace fathom::engine {

using kernels::Tensor;

struct AttentionWeights {
  Tensor q_proj;              // [H*(dn+dr), h]      q_lora_rank null; no bias, ever
  Tensor q_a_proj;            // [rq, h]             q_lora_rank set, with the next two
  Tensor q_a_proj_bias;       // [rq]                attention_bias
  Tensor q_a_layernorm;       // [rq]
  Tensor q_b_proj;            // [H*(dn+dr), rq]     per head: dn nope rows, then dr rope rows
  Tensor kv_a_proj_with_mqa;  // [rk+dr, h]          rk latent rows, then dr rope rows shared by all heads
  Tensor kv_a_proj_with_mqa_bias;  // [rk+dr]        attention_bias
  Tensor kv_a_layernorm;           // [rk]
  Tensor kv_b_proj;                // [H*(dn+dv), rk]  per head: dn key rows, then dv value rows
  Tensor o_proj;                   // [h, H*dv]
  Tensor o_proj_bias;              // [h]            attention_bias
};

/// down(silu(gate(x)) * up(x)); `width` is i, m or S*m.
struct MlpWeights {
  Tensor gate_proj;  // [width, h]
  Tensor up_proj;    // [width, h]
  Tensor down_proj;  // [h, width]
};

struct MoeWeights {
  Tensor gate;                               // [E, h]  router, no bias
  std::vector<MlpWeights> experts;           // E of width m
  std::optional<MlpWeights> shared_experts;  // width S*m
};

struct LayerWeights {
  Tensor input_layernorm;  // [h]
  AttentionWeights self_attn;
  Tensor post_attention_layernorm;  // [h]
  std::optional<MlpWeights> mlp;    // a dense layer, width i ...
  std::optional<MoeWeights> moe;    // ... or a mixture: exactly one of the two
};

struct Weights {
  Tensor embed_tokens;  // [V, h]
  std::vector<LayerWeights> layers;
  Tensor norm;     // [h]
  Tensor lm_head;  // [V, h]; the view of embed_tokens when tie_word_embeddings
};

enum class WeightKind { kRouter, kOther };

/// visit(tensor, kind) for every tensor that is there; it may replace the view. A tied lm_head follows
/// embed_tokens and is not visited.
void for_each_tensor(Weights& weights, const std::function<void(Tensor& tensor, WeightKind kind)>& visit);

}  // namespace fathom::engine
