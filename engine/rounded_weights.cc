#include "engine/rounded_weights.h"

namespace fathom::engine {
namespace {

class Rounder {
 public:
  Rounder(const kernels::Stream& stream, std::vector<kernels::Buffer>& buffers)
      : stream_(stream), buffers_(buffers) {}

  void round(Tensor& tensor) {
    if (tensor.data == nullptr || tensor.dtype == kernels::Dtype::kBF16) return;
    const size_t bytes = static_cast<size_t>(tensor.elements()) * kernels::dtype_bytes(kernels::Dtype::kBF16);
    Tensor rounded = tensor;
    rounded.dtype = kernels::Dtype::kBF16;
    rounded.data = buffers_.emplace_back(stream_.space, bytes).scratch().data;
    kernels::convert(stream_, {.from = tensor, .to = rounded});
    tensor = rounded;
  }

  void round(MlpWeights& mlp) {
    for (Tensor* tensor : {&mlp.gate_proj, &mlp.up_proj, &mlp.down_proj}) round(*tensor);
  }

  void round(LayerWeights& layer) {
    AttentionWeights& a = layer.self_attn;
    for (Tensor* tensor : {&layer.input_layernorm, &a.q_proj, &a.q_a_proj, &a.q_a_proj_bias, &a.q_a_layernorm,
                           &a.q_b_proj, &a.kv_a_proj_with_mqa, &a.kv_a_proj_with_mqa_bias, &a.kv_a_layernorm,
                           &a.kv_b_proj, &a.o_proj, &a.o_proj_bias, &layer.post_attention_layernorm}) {
      round(*tensor);
    }
    if (layer.mlp) round(*layer.mlp);
    if (!layer.moe) return;
    for (MlpWeights& expert : layer.moe->experts) round(expert);
    if (layer.moe->shared_experts) round(*layer.moe->shared_experts);
  }

 private:
  const kernels::Stream& stream_;
  std::vector<kernels::Buffer>& buffers_;
};

}  // namespace

RoundedWeights round_weights(const kernels::Stream& stream, const Weights& weights) {
  RoundedWeights rounded{weights, {}};
  Rounder rounder(stream, rounded.buffers);
  const bool tied = weights.lm_head.data == weights.embed_tokens.data;
  rounder.round(rounded.weights.embed_tokens);
  for (LayerWeights& layer : rounded.weights.layers) rounder.round(layer);
  rounder.round(rounded.weights.norm);
  if (tied) {
    rounded.weights.lm_head = rounded.weights.embed_tokens;
  } else {
    rounder.round(rounded.weights.lm_head);
  }
  return rounded;
}

}  // namespace fathom::engine
