#include "engine/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/engine/golden_weights.h"
#include "tests/engine/official_configs.h"

namespace fathom::engine {
namespace {

ModelConfig parse(const nlohmann::json& config) {
  return parse_config(config.dump(), "config.json");
}

ModelConfig with_scaling(const nlohmann::json& changes) {
  nlohmann::json config = nlohmann::json::parse(kDeepseekV2Config);
  config["rope_scaling"].erase("mscale");
  config["rope_scaling"].erase("mscale_all_dim");
  config["rope_scaling"].update(changes);
  return parse(config);
}

void expect_relative(const std::vector<float>& values, const std::vector<double>& expected,
                     double tolerance) {
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_NEAR(values[i] / expected[i], 1.0, tolerance) << "pair " << i;
}

TEST(Rope, InvFreqOfTheReleasedModels) {
  // d 64, base 10000, original 4096, factor 40: low 10, high 23.
  const std::vector<float> f = rope_inv_freq(parse(nlohmann::json::parse(kDeepseekV2Config)));
  ASSERT_EQ(f.size(), 32u);
  for (size_t j = 0; j <= 10; ++j)
    EXPECT_NEAR(f[j] * std::pow(10000.0, static_cast<double>(j) / 32), 1.0, 3e-7) << j;
  expect_relative({f.begin() + 11, f.begin() + 24},
                  {0.0390069, 0.0268794, 0.0183781, 0.0124480, 0.00833451, 0.00550000, 0.00356200, 0.00224937,
                   0.00137051, 7.90569e-4, 4.14990e-4, 1.77828e-4, 3.33380e-5},
                  4e-6);
  for (size_t j = 23; j < 32; ++j) {
    EXPECT_NEAR(f[j] * 40 * std::pow(10000.0, static_cast<double>(j) / 32), 1.0, 3e-7) << j;
  }
}

TEST(Rope, InvFreqOfTheGoldenConfigurations) {
  for (char which : {'A', 'B', 'D'}) {
    expect_relative(rope_inv_freq(parse(golden::config(which))), {1, 0.1, 0.005125, 2.5e-5}, 1e-6);
  }
  expect_relative(rope_inv_freq(parse(golden::config('C'))),
                  {1, 0.19764235, 0.025, 7.9056942e-3, 2.5e-3, 7.9056942e-4, 2.5e-4, 7.9056942e-5}, 1e-6);
}

// PyTorch's fp32 steps, computed with torch 2.15: a double formula rounded once differs in 10 of these 32.
TEST(Rope, InvFreqIsTheReferencesToTheLastBit) {
  const std::vector<float> f = rope_inv_freq(parse(nlohmann::json::parse(kDeepseekV2Config)));
  const float expected[32] = {
      0x1.0000000000000p+0f,  0x1.7ff2220000000p-1f,  0x1.1feb340000000p-1f,  0x1.afd1360000000p-2f,
      0x1.43d1360000000p-2f,  0x1.e5a8460000000p-3f,  0x1.6c310e0000000p-3f,  0x1.111aee0000000p-3f,
      0x1.99999a0000000p-4f,  0x1.33281a0000000p-4f,  0x1.ccab840000000p-5f,  0x1.3f8b740000000p-5f,
      0x1.b864360000000p-6f,  0x1.2d1b860000000p-6f,  0x1.97e5060000000p-7f,  0x1.111aee0000000p-7f,
      0x1.6872b20000000p-8f,  0x1.d2e0cc0000000p-9f,  0x1.26d42c0000000p-9f,  0x1.67459a0000000p-10f,
      0x1.9e7c6e0000000p-11f, 0x1.b326240000000p-12f, 0x1.74eea60000000p-13f, 0x1.17a8e20000000p-15f,
      0x1.a36e2e0000000p-16f, 0x1.3a87460000000p-16f, 0x1.d7b9e00000000p-17f, 0x1.61bea20000000p-17f,
      0x1.0945660000000p-17f, 0x1.8dd9ba0000000p-18f, 0x1.2a58840000000p-18f, 0x1.bf749e0000000p-19f};
  for (size_t j = 0; j < 32; ++j) EXPECT_EQ(f[j], expected[j]) << j;
}

TEST(Rope, WithoutScalingFrequenciesArePlain) {
  nlohmann::json config = golden::config('A');
  config["rope_scaling"] = nullptr;
  expect_relative(rope_inv_freq(parse(config)), {1, 0.1, 0.01, 0.001}, 3e-7);
  EXPECT_EQ(yarn_attention_factor(parse(config)), 1.0f);
  EXPECT_FLOAT_EQ(softmax_scale(parse(config)), static_cast<float>(1 / std::sqrt(24.0)));
}

TEST(Rope, EqualRampLimitsAreKeptApart) {
  // Original length so short that both corrections fall to pair 0 or below: low = high = 0.
  nlohmann::json config = golden::config('A');
  config["rope_scaling"]["original_max_position_embeddings"] = 1;
  expect_relative(rope_inv_freq(parse(config)), {1, 0.1 / 40, 0.01 / 40, 0.001 / 40}, 1e-6);
}

TEST(Rope, SoftmaxScaleOfEveryMscale) {
  EXPECT_FLOAT_EQ(softmax_scale(with_scaling(nlohmann::json::object())), 0.0721687836f);
  EXPECT_FLOAT_EQ(softmax_scale(with_scaling({{"mscale", 0.707}, {"mscale_all_dim", 0.707}})), 0.1147213867f);
  EXPECT_FLOAT_EQ(softmax_scale(with_scaling({{"mscale", 1.0}, {"mscale_all_dim", 1.0}})), 0.1352337789f);
  EXPECT_FLOAT_EQ(softmax_scale(with_scaling({{"mscale", 1.0}})), 0.0721687836f);
  EXPECT_FLOAT_EQ(softmax_scale(with_scaling({{"mscale_all_dim", 0.707}})), 0.1147213867f);
}

// The original model's reading of missing keys; transformers reads lone keys differently.
TEST(Rope, AttentionFactorOfMissingMscaleKeysIsTheOriginals) {
  const auto g = [](double c) { return 0.1 * c * std::log(40.0) + 1; };
  EXPECT_FLOAT_EQ(yarn_attention_factor(with_scaling({{"mscale", 0.707}, {"mscale_all_dim", 0.707}})), 1.0f);
  EXPECT_FLOAT_EQ(yarn_attention_factor(with_scaling(nlohmann::json::object())), static_cast<float>(g(1)));
  EXPECT_FLOAT_EQ(yarn_attention_factor(with_scaling({{"mscale", 0.707}})), static_cast<float>(g(0.707)));
  EXPECT_FLOAT_EQ(yarn_attention_factor(with_scaling({{"mscale_all_dim", 0.707}})),
                  static_cast<float>(g(1) / g(0.707)));
  EXPECT_NEAR(yarn_attention_factor(parse(golden::config('D'))), 1.0857264, 1e-6);
}

TEST(Rope, AFactorOfOneChangesNothing) {
  const ModelConfig config = with_scaling({{"factor", 1}, {"mscale", 1.0}, {"mscale_all_dim", 0.5}});
  EXPECT_EQ(yarn_attention_factor(config), 1.0f);
  EXPECT_FLOAT_EQ(softmax_scale(config), 0.0721687836f);
}

}  // namespace
}  // namespace fathom::engine
