#include "engine/model_geometry.h"

#include <algorithm>
#include <initializer_list>

#include "base/error.h"
#include "engine/shape_expression.h"

namespace fathom::engine {
namespace {

int64_t checked_product(std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  for (int64_t factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product)) {
      bad_input("config.json", "the number of parameters overflows: the dimensions are far beyond any model");
    }
  }
  return product;
}

void add_to(int64_t& sum, int64_t term) {
  if (__builtin_add_overflow(sum, term, &sum)) {
    bad_input("config.json", "the number of parameters overflows: the dimensions are far beyond any model");
  }
}

TensorSummary summarise(const TensorRow& row, const ModelConfig& config) {
  TensorSummary summary{
      .row = &row, .shape = evaluate_shape(row.shape, config), .n_tensors = tensor_count(row, config)};
  int64_t elements = 1;
  for (int64_t dimension : summary.shape) elements = checked_product({elements, dimension});
  summary.parameters = checked_product({elements, summary.n_tensors});
  const bool routed = row.group == TensorGroup::kRoutedExperts;
  summary.active_parameters =
      routed ? summary.parameters / config.n_routed_experts * config.num_experts_per_tok : summary.parameters;
  return summary;
}

CacheGeometry measure_cache(const ModelConfig& c) {
  CacheGeometry cache;
  const int64_t key_and_value = c.qk_nope_head_dim + c.v_head_dim;
  cache.latent = checked_product({c.latent_dim(), c.num_hidden_layers});
  cache.expanded =
      checked_product({c.num_attention_heads, c.qk_head_dim() + c.v_head_dim, c.num_hidden_layers});
  cache.mha = checked_product({c.num_attention_heads, key_and_value, c.num_hidden_layers});
  cache.gqa_groups = std::min<int64_t>(8, c.num_attention_heads);
  cache.gqa = checked_product({cache.gqa_groups, key_and_value, c.num_hidden_layers});
  cache.mqa = checked_product({key_and_value, c.num_hidden_layers});
  cache.latent_in_gqa_groups = static_cast<double>(c.latent_dim()) / static_cast<double>(key_and_value);
  return cache;
}

}  // namespace

ModelGeometry measure_geometry(const ModelConfig& config) {
  ModelGeometry geometry;
  int64_t embedding = 0;
  int64_t head = 0;
  for (const TensorRow& row : tensor_table()) {
    if (row.layout == ExpertLayout::kStacked || tensor_count(row, config) == 0) continue;
    const TensorSummary summary = summarise(row, config);
    add_to(geometry.n_tensors, summary.n_tensors);
    add_to(geometry.parameters, summary.parameters);
    add_to(geometry.active_parameters, summary.active_parameters);
    if (row.group == TensorGroup::kEmbedding) embedding += summary.parameters;
    if (row.group == TensorGroup::kHead) head += summary.parameters;
    geometry.tensors.push_back(summary);
  }
  geometry.active_without_input_embedding =
      config.tie_word_embeddings ? geometry.active_parameters : geometry.active_parameters - embedding;
  geometry.active_without_embedding_and_head = geometry.active_parameters - embedding - head;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) geometry.n_moe_layers += config.is_moe_layer(i);
  geometry.cache = measure_cache(config);
  return geometry;
}

double cache_reduction(int64_t elements, double bits, int64_t other_elements, double other_bits) {
  return 1.0 - static_cast<double>(elements) * bits / (static_cast<double>(other_elements) * other_bits);
}

}  // namespace fathom::engine
