#include "engine/forward.h"

#include <algorithm>

#include "base/error.h"
#include "engine/rope.h"

namespace fathom::engine {
namespace {

kernels::MlaShape mla_shape(const ModelConfig& c) {
  return {c.num_attention_heads, c.qk_nope_head_dim, c.qk_rope_head_dim, c.v_head_dim, c.kv_lora_rank};
}

}  // namespace

Forward::Forward(const ModelConfig& config, const Weights& weights, LatentCache& cache,
                 const kernels::Stream& stream, const WorkspaceLimits& limits)
    : config_(config),
      weights_(weights),
      cache_(cache),
      stream_(stream),
      work_(stream, config, limits),
      batch_(stream, limits),
      shape_(mla_shape(config)),
      rope_factor_(yarn_attention_factor(config)),
      softmax_scale_(engine::softmax_scale(config)),
      flags_(static_cast<size_t>(2 * config.num_hidden_layers + 1)) {
  const std::vector<float> inv_freq = rope_inv_freq(config);
  kernels::upload(stream_, std::as_bytes(std::span(inv_freq)),
                  work_.inv_freq.view({config.qk_rope_head_dim / 2}));
  for (const LayerWeights& layer : weights.layers) {
    ExpertTensors& tensors = expert_tensors_.emplace_back();
    if (!layer.moe) continue;
    for (const MlpWeights& expert : layer.moe->experts) {
      tensors.gate.push_back(expert.gate_proj);
      tensors.up.push_back(expert.up_proj);
      tensors.down.push_back(expert.down_proj);
    }
  }
  staging_.reserve(static_cast<size_t>(std::max(limits.max_head_rows + 1, limits.max_targets)));
  sampling_.reserve(static_cast<size_t>(limits.max_head_rows));
}

void Forward::run(std::span<const Run> runs) {
  batch_.load(runs);
  if (n_rows() == 0) return;
  kernels::gather_rows(stream_,
                       {.table = weights_.embed_tokens, .rows = batch_.ids(), .out = work_.x.rows(n_rows())});
  kernels::rope_table(stream_, {.positions = batch_.positions(),
                                .inv_freq = work_.inv_freq.view({config_.qk_rope_head_dim / 2}),
                                .factor = rope_factor_,
                                .out = work_.rope_table.rows(n_rows())});
  for (int64_t i = 0; i < config_.num_hidden_layers; ++i) layer(i);
  throw_if_not_finite();
}

// x1 = x + Attn(RMSNorm(x)); x2 = x1 + FFN(RMSNorm(x1)).
void Forward::layer(int64_t i) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(i)];
  const Tensor x = work_.x.rows(n_rows());            // [T, h] the residual stream
  const Tensor normed = work_.normed.rows(n_rows());  // [T, h] what a sub-layer reads
  const Tensor delta = work_.delta.rows(n_rows());    // [T, h] what it adds
  const float eps = static_cast<float>(config_.rms_norm_eps);

  kernels::rms_norm(stream_, {.x = x, .weight = w.input_layernorm, .eps = eps, .out = normed});
  attention(i);
  kernels::rms_norm(stream_,
                    {.x = x, .add = delta, .weight = w.post_attention_layernorm, .eps = eps, .out = normed});
  check_finite(x, 2 * i);
  if (w.moe) {
    moe(i, *w.moe);
  } else {
    mlp(*w.mlp, Sum::kReplace);
  }
  kernels::add(stream_, {.x = x, .delta = delta});
  check_finite(x, 2 * i + 1);
}

void Forward::linear(kernels::Linear args) {
  args.compute = work_.limits.compute;
  args.scratch = work_.scratch.scratch();
  kernels::linear(stream_, args);
}

void Forward::check_finite(const Tensor& x, int64_t flag) {
  const Tensor flags = work_.flags.view({static_cast<int64_t>(flags_.size())});
  kernels::mark_non_finite(stream_, {.x = x, .flags = flags, .index = flag});
}

// A NaN spreads to everything behind it: the first mark is where it came up.
void Forward::throw_if_not_finite() {
  const Tensor marks = work_.flags.view({static_cast<int64_t>(flags_.size())});
  kernels::download(stream_, marks, std::as_writable_bytes(std::span(flags_)));
  const auto first = std::find(flags_.begin(), flags_.end(), 1);
  if (first == flags_.end()) return;
  const int64_t flag = first - flags_.begin();
  std::fill(flags_.begin(), flags_.end(), 0);
  kernels::upload(stream_, std::as_bytes(std::span(flags_)), marks);
  const std::string where =
      flag == 2 * config_.num_hidden_layers
          ? "lm_head"
          : fmt::format("model.layers.{}.{}", flag / 2, flag % 2 == 0 ? "self_attn" : "mlp");
  throw Error(ErrorKind::kEngine,
              "NaN or infinity in the activations; are the weights damaged (fathom model check)?", where);
}

std::vector<int32_t> Forward::routes(int64_t i) const {
  if (!config_.is_moe_layer(i)) return {};
  std::vector<int32_t> experts(static_cast<size_t>(n_rows() * config_.num_experts_per_tok));
  kernels::download(stream_, work_.routes[static_cast<size_t>(i)].rows(n_rows()),
                    std::as_writable_bytes(std::span(experts)));
  return experts;
}

}  // namespace fathom::engine
