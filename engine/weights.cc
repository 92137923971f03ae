#include "engine/weights.h"

namespace fathom::engine {
namespace {

using Visit = std::function<void(Tensor& tensor, WeightKind kind)>;

void visit_mlp(MlpWeights& mlp, const Visit& visit) {
  for (Tensor* tensor : {&mlp.gate_proj, &mlp.up_proj, &mlp.down_proj}) visit(*tensor, WeightKind::kOther);
}

void visit_layer(LayerWeights& layer, const Visit& visit) {
  AttentionWeights& a = layer.self_attn;
  for (Tensor* tensor : {&layer.input_layernorm, &a.q_proj, &a.q_a_proj, &a.q_a_proj_bias, &a.q_a_layernorm,
                         &a.q_b_proj, &a.kv_a_proj_with_mqa, &a.kv_a_proj_with_mqa_bias, &a.kv_a_layernorm,
                         &a.kv_b_proj, &a.o_proj, &a.o_proj_bias, &layer.post_attention_layernorm}) {
    if (tensor->data != nullptr) visit(*tensor, WeightKind::kOther);
  }
  if (layer.mlp) visit_mlp(*layer.mlp, visit);
  if (!layer.moe) return;
  visit(layer.moe->gate, WeightKind::kRouter);
  for (MlpWeights& expert : layer.moe->experts) visit_mlp(expert, visit);
  if (layer.moe->shared_experts) visit_mlp(*layer.moe->shared_experts, visit);
}

}  // namespace

void for_each_tensor(Weights& weights, const Visit& visit) {
  const bool tied = weights.lm_head.data == weights.embed_tokens.data;
  visit(weights.embed_tokens, WeightKind::kOther);
  for (LayerWeights& layer : weights.layers) visit_layer(layer, visit);
  visit(weights.norm, WeightKind::kOther);
  if (tied) {
    weights.lm_head = weights.embed_tokens;
  } else {
    visit(weights.lm_head, WeightKind::kOther);
  }
}

}  // namespace fathom::engine
