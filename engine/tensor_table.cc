#include "engine/tensor_table.h"

#include <algorithm>

#include "base/error.h"

namespace fathom::engine {
namespace {

using Group = TensorGroup;
using Config = ModelConfig;

constexpr auto kPerExpert = ExpertLayout::kPerExpert;
constexpr auto kStacked = ExpertLayout::kStacked;
constexpr std::string_view kStackedGateUp = "model.layers.{i}.mlp.experts.gate_up_proj";

bool always(const Config&, int64_t) {
  return true;
}
bool untied(const Config& c, int64_t) {
  return !c.tie_word_embeddings;
}
bool plain_q(const Config& c, int64_t) {
  return !c.q_lora_rank;
}
bool compressed_q(const Config& c, int64_t) {
  return c.q_lora_rank.has_value();
}
bool biased(const Config& c, int64_t) {
  return c.attention_bias;
}
bool biased_compressed_q(const Config& c, int64_t) {
  return c.attention_bias && c.q_lora_rank;
}
bool dense(const Config& c, int64_t layer) {
  return !c.is_moe_layer(layer);
}
bool moe(const Config& c, int64_t layer) {
  return c.is_moe_layer(layer);
}
bool shared(const Config& c, int64_t layer) {
  return c.is_moe_layer(layer) && c.n_shared_experts > 0;
}

// Matrix [rows, columns] number `index` of a stacked [n, rows, columns].
Tensor slice(const Tensor& stacked, int64_t index) {
  const Tensor one = stacked.rows(index, index + 1);
  return Tensor(one.data, one.dtype, {one.shape[1], one.shape[2]}, one.space);
}

// [E, 2*m, h]: per expert m gate rows, then m up rows.
void bind_stacked_gate_up(const Tensor& tensor, Weights& weights, int64_t layer, int64_t) {
  std::vector<MlpWeights>& experts = weights.layers[layer].moe->experts;
  const int64_t m = tensor.shape[1] / 2;
  for (size_t e = 0; e < experts.size(); ++e) {
    const Tensor gate_up = slice(tensor, static_cast<int64_t>(e));
    experts[e].gate_proj = gate_up.rows(0, m);
    experts[e].up_proj = gate_up.rows(m, 2 * m);
  }
}

void bind_stacked_down(const Tensor& tensor, Weights& weights, int64_t layer, int64_t) {
  std::vector<MlpWeights>& experts = weights.layers[layer].moe->experts;
  for (size_t e = 0; e < experts.size(); ++e) experts[e].down_proj = slice(tensor, static_cast<int64_t>(e));
}

#define BIND(field) [](const Tensor& t, Weights& w, int64_t, int64_t) { w.field = t; }
#define BIND_LAYER(field) [](const Tensor& t, Weights& w, int64_t i, int64_t) { w.layers[i].field = t; }
#define BIND_EXPERT(field) \
  [](const Tensor& t, Weights& w, int64_t i, int64_t e) { w.layers[i].moe->experts[e].field = t; }

// clang-format off
const TensorRow kTable[] = {
  {"model.embed_tokens.weight", "[V, h]", Group::kEmbedding, always, BIND(embed_tokens)},
  {"model.layers.{i}.input_layernorm.weight", "[h]", Group::kNorm, always, BIND_LAYER(input_layernorm)},
  {"model.layers.{i}.self_attn.q_proj.weight", "[H*(dn+dr), h]", Group::kAttention, plain_q, BIND_LAYER(self_attn.q_proj)},
  {"model.layers.{i}.self_attn.q_a_proj.weight", "[rq, h]", Group::kAttention, compressed_q, BIND_LAYER(self_attn.q_a_proj)},
  {"model.layers.{i}.self_attn.q_a_proj.bias", "[rq]", Group::kAttention, biased_compressed_q, BIND_LAYER(self_attn.q_a_proj_bias)},
  {"model.layers.{i}.self_attn.q_a_layernorm.weight", "[rq]", Group::kAttention, compressed_q, BIND_LAYER(self_attn.q_a_layernorm)},
  {"model.layers.{i}.self_attn.q_b_proj.weight", "[H*(dn+dr), rq]", Group::kAttention, compressed_q, BIND_LAYER(self_attn.q_b_proj)},
  {"model.layers.{i}.self_attn.kv_a_proj_with_mqa.weight", "[rk+dr, h]", Group::kAttention, always, BIND_LAYER(self_attn.kv_a_proj_with_mqa)},
  {"model.layers.{i}.self_attn.kv_a_proj_with_mqa.bias", "[rk+dr]", Group::kAttention, biased, BIND_LAYER(self_attn.kv_a_proj_with_mqa_bias)},
  {"model.layers.{i}.self_attn.kv_a_layernorm.weight", "[rk]", Group::kAttention, always, BIND_LAYER(self_attn.kv_a_layernorm)},
  {"model.layers.{i}.self_attn.kv_b_proj.weight", "[H*(dn+dv), rk]", Group::kAttention, always, BIND_LAYER(self_attn.kv_b_proj)},
  {"model.layers.{i}.self_attn.o_proj.weight", "[h, H*dv]", Group::kAttention, always, BIND_LAYER(self_attn.o_proj)},
  {"model.layers.{i}.self_attn.o_proj.bias", "[h]", Group::kAttention, biased, BIND_LAYER(self_attn.o_proj_bias)},
  {"model.layers.{i}.post_attention_layernorm.weight", "[h]", Group::kNorm, always, BIND_LAYER(post_attention_layernorm)},
  {"model.layers.{i}.mlp.gate_proj.weight", "[i, h]", Group::kDenseMlp, dense, BIND_LAYER(mlp->gate_proj)},
  {"model.layers.{i}.mlp.up_proj.weight", "[i, h]", Group::kDenseMlp, dense, BIND_LAYER(mlp->up_proj)},
  {"model.layers.{i}.mlp.down_proj.weight", "[h, i]", Group::kDenseMlp, dense, BIND_LAYER(mlp->down_proj)},
  {"model.layers.{i}.mlp.gate.weight", "[E, h]", Group::kRouter, moe, BIND_LAYER(moe->gate)},
  {"model.layers.{i}.mlp.experts.{e}.gate_proj.weight", "[m, h]", Group::kRoutedExperts, moe, BIND_EXPERT(gate_proj), kPerExpert},
  {"model.layers.{i}.mlp.experts.{e}.up_proj.weight", "[m, h]", Group::kRoutedExperts, moe, BIND_EXPERT(up_proj), kPerExpert},
  {"model.layers.{i}.mlp.experts.{e}.down_proj.weight", "[h, m]", Group::kRoutedExperts, moe, BIND_EXPERT(down_proj), kPerExpert},
  {kStackedGateUp, "[E, 2*m, h]", Group::kRoutedExperts, moe, bind_stacked_gate_up, kStacked},
  {"model.layers.{i}.mlp.experts.down_proj", "[E, h, m]", Group::kRoutedExperts, moe, bind_stacked_down, kStacked},
  {"model.layers.{i}.mlp.shared_experts.gate_proj.weight", "[S*m, h]", Group::kSharedExperts, shared, BIND_LAYER(moe->shared_experts->gate_proj)},
  {"model.layers.{i}.mlp.shared_experts.up_proj.weight", "[S*m, h]", Group::kSharedExperts, shared, BIND_LAYER(moe->shared_experts->up_proj)},
  {"model.layers.{i}.mlp.shared_experts.down_proj.weight", "[h, S*m]", Group::kSharedExperts, shared, BIND_LAYER(moe->shared_experts->down_proj)},
  {"model.norm.weight", "[h]", Group::kNorm, always, BIND(norm)},
  {"lm_head.weight", "[V, h]", Group::kHead, untied, BIND(lm_head)},
};
// clang-format on

#undef BIND
#undef BIND_LAYER
#undef BIND_EXPERT

void replace(std::string& text, std::string_view placeholder, int64_t number) {
  const size_t at = text.find(placeholder);
  if (at != std::string::npos) text.replace(at, placeholder.size(), std::to_string(number));
}

}  // namespace

std::string_view tensor_group_name(TensorGroup group) {
  switch (group) {
    case TensorGroup::kEmbedding:
      return "embedding";
    case TensorGroup::kAttention:
      return "attention";
    case TensorGroup::kNorm:
      return "norms";
    case TensorGroup::kDenseMlp:
      return "dense MLP";
    case TensorGroup::kRouter:
      return "routers";
    case TensorGroup::kRoutedExperts:
      return "routed experts";
    case TensorGroup::kSharedExperts:
      return "shared experts";
    case TensorGroup::kHead:
      return "head";
  }
  FATHOM_CHECK(false, "group {}", static_cast<int>(group));
}

// kv_b_proj stays plain: the absorbed form of attention reads its rows the other way round.
bool TensorRow::may_be_quantised() const {
  const bool matrix = std::count(shape.begin(), shape.end(), ',') == 1;
  const bool kept = group == Group::kEmbedding || group == Group::kRouter || layout == kStacked ||
                    name.find("kv_b_proj") != std::string_view::npos;
  return matrix && !kept;
}

std::span<const TensorRow> tensor_table() {
  return kTable;
}

std::string tensor_name(const TensorRow& row, int64_t layer, int64_t expert) {
  std::string name(row.name);
  replace(name, "{i}", layer);
  replace(name, "{e}", expert);
  return name;
}

int64_t tensor_count(const TensorRow& row, const ModelConfig& config) {
  int64_t layers = 0;
  for (int64_t i = 0; i < (row.per_layer() ? config.num_hidden_layers : 1); ++i)
    layers += row.exists(config, i);
  return row.per_expert() ? layers * config.n_routed_experts : layers;
}

Weights empty_weights(const ModelConfig& config) {
  Weights weights;
  weights.layers.resize(config.num_hidden_layers);
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    LayerWeights& layer = weights.layers[i];
    if (!config.is_moe_layer(i)) {
      layer.mlp.emplace();
      continue;
    }
    layer.moe.emplace().experts.resize(config.n_routed_experts);
    if (config.n_shared_experts > 0) layer.moe->shared_experts.emplace();
  }
  return weights;
}

std::string stacked_experts_marker(int64_t layer) {
  std::string name(kStackedGateUp);
  replace(name, "{i}", layer);
  return name;
}

}  // namespace fathom::engine
