#include "engine/config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/engine/golden_weights.h"
#include "tests/engine/official_configs.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace fathom::engine {
namespace {

using nlohmann::json;
using testing::expect_bad_input;

ModelConfig parse(const json& config) {
  return parse_config(config.dump(), "config.json");
}

// Configuration A with `changes` on top; a null value stays null, see without() for a missing key.
json with(const json& changes) {
  json config = golden::config('A');
  for (const auto& [key, value] : changes.items()) config[key] = value;
  return config;
}

json without(std::initializer_list<const char*> keys) {
  json config = golden::config('A');
  for (const char* key : keys) config.erase(key);
  return config;
}

json with_rope(const json& changes) {
  json config = golden::config('A');
  for (const auto& [key, value] : changes.items()) config["rope_scaling"][key] = value;
  return config;
}

void refuse(const json& config, std::initializer_list<std::string_view> words) {
  expect_bad_input([&] { parse(config); }, words);
}

TEST(Config, ReadsDeepseekV2) {
  const ModelConfig c = parse_config(kDeepseekV2Config, "config.json");
  EXPECT_EQ(c.vocab_size, 102400);
  EXPECT_EQ(c.hidden_size, 5120);
  EXPECT_EQ(c.num_hidden_layers, 60);
  EXPECT_EQ(c.num_attention_heads, 128);
  EXPECT_EQ(c.q_lora_rank, 1536);
  EXPECT_EQ(c.kv_lora_rank, 512);
  EXPECT_EQ(c.qk_head_dim(), 192);
  EXPECT_EQ(c.latent_dim(), 576);
  EXPECT_EQ(c.v_head_dim, 128);
  EXPECT_EQ(c.intermediate_size, 12288);
  EXPECT_EQ(c.moe_intermediate_size, 1536);
  EXPECT_EQ(c.n_routed_experts, 160);
  EXPECT_EQ(c.n_shared_experts, 2);
  EXPECT_EQ(c.num_experts_per_tok, 6);
  EXPECT_EQ(c.first_k_dense_replace, 1);
  EXPECT_EQ(c.topk_method, TopkMethod::kGroupLimitedGreedy);
  EXPECT_EQ(c.n_group, 8);
  EXPECT_EQ(c.topk_group, 3);
  EXPECT_FALSE(c.norm_topk_prob);
  EXPECT_EQ(c.routed_scaling_factor, 16.0);
  EXPECT_EQ(c.rms_norm_eps, 1e-6);
  EXPECT_EQ(c.rope_theta, 10000.0);
  ASSERT_TRUE(c.yarn);
  EXPECT_EQ(c.yarn->factor, 40.0);
  EXPECT_EQ(c.yarn->original_max_position_embeddings, 4096);
  EXPECT_EQ(c.yarn->beta_fast, 32.0);
  EXPECT_EQ(c.yarn->beta_slow, 1.0);
  EXPECT_EQ(c.yarn->mscale, 0.707);
  EXPECT_EQ(c.yarn->mscale_all_dim, 0.707);
  EXPECT_EQ(c.max_position_embeddings, 163840);
  EXPECT_EQ(c.bos_token_id, 100000);
  EXPECT_EQ(c.eos_token_id, 100001);
  EXPECT_FALSE(c.is_moe_layer(0));
  EXPECT_TRUE(c.is_moe_layer(1));
}

TEST(Config, ReadsDeepseekV2Lite) {
  const ModelConfig c = parse_config(kDeepseekV2LiteConfig, "config.json");
  EXPECT_EQ(c.q_lora_rank, std::nullopt);
  EXPECT_EQ(c.topk_method, TopkMethod::kGreedy);
  EXPECT_EQ(c.n_group, 1);
  EXPECT_EQ(c.intermediate_size, 10944);
}

// What transformers 5.24 wrote for configuration A: rope_parameters, dtype, derived head sizes.
TEST(Config, ReadsWhatTransformers5Writes) {
  json config = golden::config('A');
  config["rope_parameters"] = config["rope_scaling"];
  config["rope_parameters"].update({{"rope_type", "yarn"}, {"rope_theta", 50000}});
  config.erase("rope_scaling");
  config.erase("rope_theta");
  config.erase("torch_dtype");
  config.update({{"dtype", "bfloat16"}, {"head_dim", 8}, {"qk_head_dim", 24}, {"mlp_bias", false}});
  config.update(
      {{"output_router_logits", false}, {"pad_token_id", nullptr}, {"transformers_version", "5.24.0"}});
  const ModelConfig c = parse(config);
  EXPECT_EQ(c.rope_theta, 50000.0);
  ASSERT_TRUE(c.yarn);
  EXPECT_EQ(c.yarn->factor, 40.0);
  EXPECT_EQ(c.yarn->mscale_all_dim, 0.707);
}

TEST(Config, PlainRopeIsAMissingOrNullOrDefaultRopeObject) {
  EXPECT_FALSE(parse(without({"rope_scaling"})).yarn);
  EXPECT_FALSE(parse(with({{"rope_scaling", nullptr}})).yarn);
  json config = without({"rope_scaling", "rope_theta"});
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 20000.0}};
  EXPECT_FALSE(parse(config).yarn);
  EXPECT_EQ(parse(config).rope_theta, 20000.0);
}

TEST(Config, RopeTypeWinsOverType) {
  EXPECT_TRUE(parse(with_rope({{"type", "linear"}, {"rope_type", "yarn"}})).yarn);
  refuse(with_rope({{"type", "yarn"}, {"rope_type", "linear"}}), {"rope_scaling.rope_type", "\"linear\""});
}

TEST(Config, AcceptsBothRopeSpellingsOnlyWhenTheyAgree) {
  json config = golden::config('A');
  config["rope_parameters"] = config["rope_scaling"];
  config["rope_parameters"]["rope_theta"] = 10000.0;
  EXPECT_TRUE(parse(config).yarn);
  config["rope_parameters"]["factor"] = 4;
  refuse(config, {"rope_parameters", "rope_scaling"});
  config["rope_parameters"]["factor"] = 40;
  config["rope_parameters"]["rope_theta"] = 10001;
  refuse(config, {"rope_theta", "10000", "10001"});
}

TEST(Config, TellsMissingFromNullQLoraRank) {
  EXPECT_EQ(parse(without({"q_lora_rank"})).q_lora_rank, 1536);
  EXPECT_EQ(parse(with({{"q_lora_rank", nullptr}})).q_lora_rank, std::nullopt);
  EXPECT_EQ(parse(with({{"q_lora_rank", 24}})).q_lora_rank, 24);
}

TEST(Config, MissingKeysHaveTheOriginalDefaults) {
  const ModelConfig c =
      parse(without({"vocab_size", "first_k_dense_replace", "moe_layer_freq", "routed_scaling_factor",
                     "norm_topk_prob", "scoring_func", "rms_norm_eps", "rope_theta", "hidden_act",
                     "max_position_embeddings", "attention_bias", "tie_word_embeddings", "n_shared_experts",
                     "bos_token_id", "eos_token_id", "num_key_value_heads"}));
  EXPECT_EQ(c.vocab_size, 102400);
  EXPECT_EQ(c.first_k_dense_replace, 0);
  EXPECT_EQ(c.moe_layer_freq, 1);
  EXPECT_EQ(c.routed_scaling_factor, 1.0);
  EXPECT_FALSE(c.norm_topk_prob);
  EXPECT_EQ(c.rms_norm_eps, 1e-6);
  EXPECT_EQ(c.rope_theta, 10000.0);
  EXPECT_EQ(c.max_position_embeddings, 2048);
  EXPECT_FALSE(c.attention_bias);
  EXPECT_FALSE(c.tie_word_embeddings);
  EXPECT_EQ(c.n_shared_experts, 0);
  EXPECT_EQ(c.bos_token_id, std::nullopt);
  EXPECT_EQ(c.eos_token_id, std::nullopt);
}

TEST(Config, MissingYarnKeysStayMissing) {
  json config = golden::config('A');
  config["rope_scaling"] = {{"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32}};
  const YarnConfig yarn = *parse(config).yarn;
  EXPECT_EQ(yarn.beta_fast, 32.0);
  EXPECT_EQ(yarn.beta_slow, 1.0);
  EXPECT_EQ(yarn.mscale, std::nullopt);
  EXPECT_EQ(yarn.mscale_all_dim, std::nullopt);
  EXPECT_EQ(parse(with_rope({{"mscale", 0}})).yarn->mscale, 0.0);
}

TEST(Config, NumbersMayBeIntegersOrFloats) {
  EXPECT_EQ(parse(with_rope({{"factor", 40.0}, {"beta_fast", 32.0}})).yarn->factor, 40.0);
  EXPECT_EQ(parse(with({{"routed_scaling_factor", 16}})).routed_scaling_factor, 16.0);
  EXPECT_EQ(parse(with({{"hidden_size", 64.0}})).hidden_size, 64);
  refuse(with({{"hidden_size", 64.5}}), {"hidden_size", "integer", "64.5"});
  refuse(with({{"hidden_size", "64"}}), {"hidden_size", "integer", "\"64\""});
  refuse(with({{"hidden_size", true}}), {"hidden_size", "integer", "true"});
}

TEST(Config, NoRoutedExpertsMeansDenseEverywhere) {
  const ModelConfig c = parse(with({{"n_routed_experts", nullptr}}));
  for (int64_t layer = 0; layer < 3; ++layer) EXPECT_FALSE(c.is_moe_layer(layer));
}

TEST(Config, MoeLayerFreqFollowsTheOriginalRule) {
  const ModelConfig c = parse(with({{"num_hidden_layers", 6}, {"moe_layer_freq", 2}}));
  for (int64_t layer = 0; layer < 6; ++layer)
    EXPECT_EQ(c.is_moe_layer(layer), layer == 2 || layer == 4) << layer;
}

TEST(Config, NormTopkProbIsRead) {
  EXPECT_TRUE(parse(with({{"norm_topk_prob", true}})).norm_topk_prob);
}

TEST(Config, AttentionBiasAndTiedEmbeddingsAreRead) {
  const ModelConfig c = parse(with({{"attention_bias", true}, {"tie_word_embeddings", true}}));
  EXPECT_TRUE(c.attention_bias);
  EXPECT_TRUE(c.tie_word_embeddings);
}

TEST(Config, AMissingTopkMethodIsGreedyOnlyWithOneGroup) {
  json config = without({"topk_method", "n_group", "topk_group"});
  EXPECT_EQ(parse(config).topk_method, TopkMethod::kGreedy);
  config["topk_method"] = "gready";
  EXPECT_EQ(parse(config).topk_method, TopkMethod::kGreedy);
  config["n_group"] = config["topk_group"] = nullptr;
  EXPECT_EQ(parse(config).topk_method, TopkMethod::kGreedy);
  config["n_group"] = 4;
  refuse(config, {"topk_method", "group_limited_greedy", "gready"});
  config.erase("topk_method");
  refuse(config, {"topk_method", "no such key"});
}

TEST(Config, GreedyRoutingHasOneGroupWhateverNGroupSays) {
  const ModelConfig c = parse(with({{"topk_method", "greedy"}, {"num_experts_per_tok", 12}}));
  EXPECT_EQ(c.n_group, 1);
  EXPECT_EQ(c.topk_group, 1);
}

TEST(Config, AListOfOneTokenIdIsThatId) {
  EXPECT_EQ(parse(with({{"eos_token_id", {7}}})).eos_token_id, 7);
  refuse(with({{"eos_token_id", {7, 8}}}), {"eos_token_id", "[7,8]"});
  refuse(with({{"eos_token_id", 128}}), {"eos_token_id", "0..127", "128"});
  refuse(with({{"bos_token_id", -1}}), {"bos_token_id", "-1"});
}

// Refusals.

TEST(ConfigRefuses, AnotherArchitecture) {
  refuse(with({{"model_type", "deepseek_v3"}}), {"model_type", "deepseek_v2", "deepseek_v3"});
  refuse(without({"model_type"}), {"model_type", "deepseek_v2"});
  refuse(with({{"architectures", {"LlamaForCausalLM"}}}), {"architectures", "LlamaForCausalLM"});
  refuse(with({{"architectures", {"DeepseekV3ForCausalLM", "DeepseekV2ForCausalLM"}}}), {"architectures"});
}

TEST(ConfigRefuses, SigmoidScoring) {
  refuse(with({{"scoring_func", "sigmoid"}}), {"scoring_func", "softmax", "sigmoid"});
}

TEST(ConfigRefuses, NoauxTc) {
  refuse(with({{"topk_method", "noaux_tc"}}), {"topk_method", "noaux_tc", "V3"});
}

TEST(ConfigRefuses, AnUnknownTopkMethod) {
  refuse(with({{"topk_method", "best"}}), {"topk_method", "\"best\""});
}

TEST(ConfigRefuses, MultiTokenPrediction) {
  refuse(with({{"num_nextn_predict_layers", 1}}), {"num_nextn_predict_layers", "V3"});
  EXPECT_NO_THROW(parse(with({{"num_nextn_predict_layers", 0}})));
}

TEST(ConfigRefuses, SparseAttention) {
  refuse(with({{"index_topk", 2048}}), {"index_topk", "2048"});
}

json int8_config() {
  return {{"quant_method", "compressed-tensors"},
          {"format", "int-quantized"},
          {"config_groups",
           {{"group_0",
             {{"targets", {"Linear"}},
              {"weights", {{"num_bits", 8}, {"type", "int"}, {"strategy", "group"}, {"group_size", 64}}}}}}}};
}

TEST(Config, ReadsTheQuantisedLayouts) {
  const auto read = [](const json& quantization) {
    return parse(with({{"quantization_config", quantization}})).quantization;
  };
  EXPECT_EQ(read(int8_config()), (Quantization{QuantFormat::kInt8, 1, 64}));
  EXPECT_EQ(read({{"quant_method", "fp8"}, {"weight_block_size", {128, 128}}}),
            (Quantization{QuantFormat::kFp8, 128, 128}));
  for (const Quantization& q :
       {Quantization{QuantFormat::kInt8, 1, 128}, Quantization{QuantFormat::kInt4, 1, 32},
        Quantization{QuantFormat::kFp8, 128, 128}}) {
    EXPECT_EQ(read(quantization_json(q)), q) << quantization_text(q);
  }
}

TEST(ConfigRefuses, AQuantisedLayoutThatItWouldMisread) {
  const auto refuse_int8 = [](const char* pointer, const json& value,
                              std::initializer_list<std::string_view> words) {
    json changed = int8_config();
    changed[json::json_pointer(pointer)] = value;
    refuse(with({{"quantization_config", changed}}), words);
  };
  const std::string weights = "/config_groups/group_0/weights/";
  refuse_int8((weights + "num_bits").c_str(), 3, {"num_bits", "4 or 8"});
  refuse_int8((weights + "group_size").c_str(), 48, {"group_size", "multiple of 32"});
  refuse_int8((weights + "group_size").c_str(), 0, {"group_size", "32"});
  refuse_int8((weights + "symmetric").c_str(), false, {"symmetric"});
  refuse_int8((weights + "strategy").c_str(), "channel", {"strategy", "group"});
  refuse_int8((weights + "actorder").c_str(), "group", {"actorder"});
  refuse_int8((weights + "new_key").c_str(), 1, {"new_key"});
  refuse_int8("/format", "pack-quantized", {"format", "int-quantized", "8 bits"});
  refuse_int8("/config_groups/group_1", json::object(), {"config_groups", "one group"});
  refuse_int8("/config_groups/group_0/input_activations", {{"num_bits", 8}}, {"input_activations"});
  refuse_int8("/kv_cache_scheme", {{"num_bits", 8}}, {"kv_cache_scheme", "--kv"});
  refuse(with({{"quantization_config", {{"quant_method", "fp8"}}}}), {"weight_block_size", "[128,128]"});
  refuse(with({{"quantization_config", {{"quant_method", "gptq"}}}}), {"quant_method", "gptq"});
  refuse(with({{"quantization_config", "int8"}}), {"quantization_config", "object"});
}

TEST(Config, NullQuantisationIsNone) {
  EXPECT_NO_THROW(parse(with({{"quantization_config", nullptr}})));
}

TEST(ConfigRefuses, AnotherActivation) {
  refuse(with({{"hidden_act", "gelu"}}), {"hidden_act", "silu", "gelu"});
}

TEST(ConfigRefuses, UnknownKeys) {
  refuse(with({{"attn_logit_softcapping", 30.0}}), {"attn_logit_softcapping", "30.0", "mathematics"});
  refuse(with({{"sliding_window", nullptr}}), {"sliding_window"});
  refuse(with_rope({{"finetuned", true}}), {"rope_scaling.finetuned"});
}

TEST(ConfigRefuses, OtherRopeTypes) {
  for (const char* type : {"linear", "dynamic", "llama3", "longrope"}) {
    refuse(with_rope({{"type", type}}), {"rope_scaling.type", "yarn", type});
  }
  json config = golden::config('A');
  config["rope_scaling"].erase("type");
  refuse(config, {"rope_scaling."});
}

TEST(ConfigRefuses, YarnWithoutItsOriginalLength) {
  json config = golden::config('A');
  config["rope_scaling"].erase("original_max_position_embeddings");
  refuse(config, {"rope_scaling.original_max_position_embeddings", "no such key"});
}

TEST(ConfigRefuses, YarnKeysThatOnlyTransformersReads) {
  refuse(with_rope({{"attention_factor", 1.2}}), {"rope_scaling.attention_factor", "1.2"});
  refuse(with_rope({{"truncate", false}}), {"rope_scaling.truncate"});
  EXPECT_NO_THROW(parse(with_rope({{"attention_factor", nullptr}, {"truncate", true}})));
}

TEST(ConfigRefuses, SenselessYarnValues) {
  refuse(with_rope({{"factor", 0.5}}), {"rope_scaling.factor", ">= 1", "0.5"});
  refuse(with_rope({{"factor", "40"}}), {"rope_scaling.factor", "a number"});
  refuse(with_rope({{"beta_slow", 0}}), {"rope_scaling.beta_slow", "> 0"});
  refuse(with_rope({{"beta_fast", 0.5}}), {"rope_scaling.beta_fast", "beta_slow"});
  refuse(with_rope({{"partial_rotary_factor", 0.5}}), {"rope_scaling.partial_rotary_factor"});
}

TEST(ConfigRefuses, ExpertsThatDoNotSplitIntoGroups) {
  refuse(with({{"n_group", 5}, {"topk_group", 2}}), {"n_group", "divisor", "16", "5"});
}

TEST(ConfigRefuses, TopkGroupOutsideOneToNGroup) {
  refuse(with({{"topk_group", 5}}), {"topk_group", "1..4", "5"});
  refuse(with({{"topk_group", 0}}), {"topk_group", "1..4", "0"});
}

TEST(ConfigRefuses, MoreExpertsPerTokenThanTheGroupsHold) {
  refuse(with({{"num_experts_per_tok", 9}}), {"num_experts_per_tok", "at most 8", "9"});
  refuse(with({{"topk_method", "greedy"}, {"num_experts_per_tok", 17}}),
         {"num_experts_per_tok", "1..16", "17"});
}

TEST(ConfigRefuses, GroupLimitedRoutingWithoutGroups) {
  refuse(without({"n_group"}), {"n_group"});
  refuse(with({{"topk_group", nullptr}}), {"topk_group"});
}

TEST(ConfigRefuses, MissingMoeKeys) {
  refuse(without({"n_routed_experts"}), {"n_routed_experts", "no such key"});
  refuse(without({"num_experts_per_tok"}), {"num_experts_per_tok", "no such key"});
  refuse(with({{"num_experts_per_tok", nullptr}}), {"num_experts_per_tok", "null"});
  refuse(without({"moe_intermediate_size"}), {"moe_intermediate_size", "no such key"});
  refuse(without({"intermediate_size"}), {"intermediate_size", "no such key"});
}

TEST(ConfigRefuses, AnOddRotaryDimension) {
  refuse(with({{"qk_rope_head_dim", 7}}), {"qk_rope_head_dim", "even", "7"});
}

TEST(ConfigRefuses, FewerKeyValueHeadsThanHeads) {
  refuse(with({{"num_key_value_heads", 2}}), {"num_key_value_heads", "4", "2"});
}

TEST(ConfigRefuses, DerivedSizesThatContradict) {
  refuse(with({{"head_dim", 24}}), {"head_dim", "8", "24"});
  refuse(with({{"qk_head_dim", 8}}), {"qk_head_dim", "24", "8"});
}

TEST(ConfigRefuses, MlpBiasAndHalfSplitRope) {
  refuse(with({{"mlp_bias", true}}), {"mlp_bias"});
  refuse(with({{"rope_interleave", false}}), {"rope_interleave", "interleaved"});
}

TEST(ConfigRefuses, SenselessNumbers) {
  refuse(with({{"moe_layer_freq", 0}}), {"moe_layer_freq", "0"});
  refuse(with({{"hidden_size", 0}}), {"hidden_size", "0"});
  refuse(with({{"num_hidden_layers", 1e9}}), {"num_hidden_layers", "1..1024"});
  refuse(with({{"vocab_size", -5}}), {"vocab_size", "-5"});
  refuse(with({{"rms_norm_eps", -1e-6}}), {"rms_norm_eps", ">= 0"});
  refuse(with({{"rope_theta", 1.0}}), {"rope_theta", "> 1"});
}

TEST(ConfigRefuses, TextThatIsNotOneJsonObject) {
  expect_bad_input([] { parse_config("[1]", "here"); }, {"here", "object", "array"});
  expect_bad_input([] { parse_config("{", "here"); }, {"here", "not valid JSON"});
  expect_bad_input([] { parse_config("", "here"); }, {"here", "not valid JSON"});
  expect_bad_input([] { parse_config(std::string(100000, '['), "here"); }, {"here", "nested"});
}

TEST(ConfigRefuses, AKeyGivenTwice) {
  expect_bad_input([] { parse_config(R"({"model_type":"deepseek_v2","n_group":1,"n_group":8})", "here"); },
                   {"here", "n_group", "twice"});
}

TEST(ConfigRefuses, AFolderWithoutConfig) {
  testing::TemporaryFolder folder;
  expect_bad_input([&] { load_config(folder.path()); }, {"config.json", "cannot open"});
}

}  // namespace
}  // namespace fathom::engine
