#include "engine/model_geometry.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tests/engine/golden_weights.h"
#include "tests/engine/official_configs.h"
#include "tests/expect_error.h"

namespace fathom::engine {
namespace {

ModelGeometry measure(const char* config) {
  return measure_geometry(parse_config(config, "config.json"));
}

std::map<TensorGroup, int64_t> by_group(const ModelGeometry& geometry) {
  std::map<TensorGroup, int64_t> sums;
  for (const TensorSummary& summary : geometry.tensors) sums[summary.row->group] += summary.parameters;
  return sums;
}

TEST(ModelGeometry, CountsDeepseekV2) {
  const ModelGeometry g = measure(kDeepseekV2Config);
  EXPECT_EQ(g.parameters, 235'741'434'880);
  EXPECT_EQ(g.n_tensors, 29'102);
  EXPECT_EQ(g.n_moe_layers, 59);
  EXPECT_EQ(g.active_parameters, 21'375'800'320);
  EXPECT_EQ(g.active_without_input_embedding, 20'851'512'320);
  EXPECT_EQ(g.active_without_embedding_and_head, 20'327'224'320);
  auto sums = by_group(g);
  EXPECT_EQ(sums[TensorGroup::kEmbedding], 524'288'000);
  EXPECT_EQ(sums[TensorGroup::kHead], 524'288'000);
  EXPECT_EQ(sums[TensorGroup::kAttention], 8'953'651'200);
  EXPECT_EQ(sums[TensorGroup::kNorm], 614'400 + 5'120);
  EXPECT_EQ(sums[TensorGroup::kDenseMlp], 188'743'680);
  EXPECT_EQ(sums[TensorGroup::kRoutedExperts], 222'717'542'400);
  EXPECT_EQ(sums[TensorGroup::kSharedExperts], 2'783'969'280);
  EXPECT_EQ(sums[TensorGroup::kRouter], 48'332'800);
}

TEST(ModelGeometry, CountsDeepseekV2Lite) {
  const ModelGeometry g = measure(kDeepseekV2LiteConfig);
  EXPECT_EQ(g.parameters, 15'706'484'224);
  EXPECT_EQ(g.n_tensors, 5'291);
  EXPECT_EQ(g.active_parameters, 2'661'150'208);
  EXPECT_EQ(g.active_without_input_embedding, 2'451'435'008);
  EXPECT_EQ(g.active_without_embedding_and_head, 2'241'719'808);
}

TEST(ModelGeometry, CountsCacheElementsPerToken) {
  const CacheGeometry v2 = measure(kDeepseekV2Config).cache;
  EXPECT_EQ(v2.latent, 34'560);
  EXPECT_EQ(v2.mha, 1'966'080);
  EXPECT_EQ(v2.mqa, 15'360);
  EXPECT_EQ(v2.gqa, 122'880);
  EXPECT_EQ(v2.expanded, 60 * 40'960);
  EXPECT_EQ(v2.latent_in_gqa_groups, 2.25);
  EXPECT_EQ(measure(kDeepseekV2LiteConfig).cache.latent, 15'552);
}

TEST(ModelGeometry, DerivesTheReportsReductions) {
  const int64_t latent = measure(kDeepseekV2Config).cache.latent;
  EXPECT_NEAR(cache_reduction(latent, 16, kDeepseek67bCacheElements, 16), 0.822, 0.0005);
  EXPECT_NEAR(cache_reduction(latent, 6, kDeepseek67bCacheElements, 8), 0.867, 0.0005);
  EXPECT_NEAR(cache_reduction(latent, 6, kDeepseek67bCacheElements, 16), 0.933, 0.0005);
}

// The counts of every configuration that changes which tensors exist, against the tensors themselves.
TEST(ModelGeometry, AgreesWithTheTensorsOfEveryPattern) {
  using nlohmann::json;
  for (const json& change : {json::object(), json{{"q_lora_rank", nullptr}}, json{{"attention_bias", true}},
                             json{{"moe_layer_freq", 2}}, json{{"n_routed_experts", nullptr}},
                             json{{"n_shared_experts", 0}}, json{{"tie_word_embeddings", true}}}) {
    json config = golden::config('A');
    config.update(change);
    int64_t parameters = 0;
    const auto tensors = golden::tensors(config, {});
    for (const golden::NamedTensor& tensor : tensors)
      parameters += static_cast<int64_t>(tensor.bytes.size()) / 4;
    const ModelGeometry g = measure_geometry(parse_config(config.dump(), "config.json"));
    EXPECT_EQ(g.parameters, parameters) << change;
    EXPECT_EQ(g.n_tensors, static_cast<int64_t>(tensors.size())) << change;
  }
}

TEST(ModelGeometry, ATiedEmbeddingStaysActiveAsTheHead) {
  nlohmann::json config = golden::config('A');
  const ModelGeometry untied = measure_geometry(parse_config(config.dump(), "config.json"));
  config["tie_word_embeddings"] = true;
  const ModelGeometry tied = measure_geometry(parse_config(config.dump(), "config.json"));
  EXPECT_EQ(tied.parameters, untied.parameters - 128 * 64);
  EXPECT_EQ(tied.active_without_input_embedding, untied.active_without_input_embedding);
  EXPECT_EQ(tied.active_without_embedding_and_head, untied.active_without_embedding_and_head);
}

TEST(ModelGeometry, RefusesCountsBeyondInt64) {
  nlohmann::json config = golden::config('A');
  for (const char* key : {"hidden_size", "moe_intermediate_size"}) config[key] = 1 << 24;
  config["n_routed_experts"] = 4096;
  config["num_hidden_layers"] = 1024;
  testing::expect_bad_input([&] { measure_geometry(parse_config(config.dump(), "config.json")); },
                            {"overflows"});
}

}  // namespace
}  // namespace fathom::engine
