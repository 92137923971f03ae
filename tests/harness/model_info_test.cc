#include "harness/model_info.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/engine/golden_weights.h"
#include "tests/engine/official_configs.h"
#include "tests/expect_error.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

using engine::golden::Format;
using kernels::Dtype;
using nlohmann::json;
using testing::expect_bad_input;
using testing::TemporaryFolder;

json info_of_config(const char* config) {
  TemporaryFolder folder;
  engine::golden::write_bytes(folder / "config.json", config);
  return model_info_json(inspect_model(folder.path()));
}

TEST(ModelInfo, CountsTheOfficialModelsFromTheirConfigAlone) {
  const json v2 = info_of_config(engine::kDeepseekV2Config);
  EXPECT_EQ(v2["parameters"]["total"], 235'741'434'880);
  EXPECT_EQ(v2["parameters"]["active"], 21'375'800'320);
  EXPECT_EQ(v2["weights"]["bytes_16bit"], 471'482'869'760);
  EXPECT_EQ(v2["weights"]["tensors"], 29'102);
  EXPECT_EQ(v2["weights"]["stored"], nullptr);
  EXPECT_EQ(v2["cache"]["latent"]["bytes_per_token_16bit"], 69'120);
  EXPECT_EQ(v2["cache"]["mha"]["elements_per_token"], 1'966'080);
  EXPECT_NEAR(v2["cache"]["reduction_to_67b_equal_precision"].get<double>(), 0.822, 5e-4);
  EXPECT_NEAR(v2["cache"]["reduction_to_67b_6bit_to_16bit"].get<double>(), 0.933, 5e-4);
  const json lite = info_of_config(engine::kDeepseekV2LiteConfig);
  EXPECT_EQ(lite["parameters"]["total"], 15'706'484'224);
  EXPECT_EQ(lite["weights"]["bytes_16bit"], 31'412'968'448);
}

TEST(ModelInfo, PrintsWhatPeopleLookFor) {
  TemporaryFolder folder;
  engine::golden::write_bytes(folder / "config.json", engine::kDeepseekV2Config);
  const std::string text = model_info_text(inspect_model(folder.path()));
  for (const char* wanted : {"235,741,434,880", "20,851,512,320", "439.10 GiB", "69,120", "2.25 groups",
                             "82.2 %", "93.3 %", "no weight files", "[H*(dn+dr), rq] = [24576, 1536]"}) {
    EXPECT_NE(text.find(wanted), std::string::npos) << wanted << " is not in\n" << text;
  }
}

TEST(ModelInfo, DescribesStoredWeights) {
  TemporaryFolder folder;
  engine::golden::write_checkpoint(folder.path(), 'A', {.dtype = Dtype::kBF16}, 3);
  const ModelInfo info = inspect_model(folder.path());
  ASSERT_TRUE(info.stored);
  EXPECT_EQ(info.stored->n_files, 3);
  EXPECT_EQ(info.stored->n_tensors, info.geometry.n_tensors);
  EXPECT_EQ(info.stored->tensors_of_dtype.at("F32"), 2);  // the routers of two layers
  EXPECT_EQ(info.stored->tensors_of_dtype.at("BF16"), info.geometry.n_tensors - 2);
  EXPECT_FALSE(info.stored->stacked_experts);
  EXPECT_EQ(info.stored->bytes, static_cast<uint64_t>(2 * info.geometry.parameters + 2 * 2 * 16 * 64));
}

TEST(ModelInfo, CountsStackedExpertsAsTheSameParameters) {
  TemporaryFolder folder;
  engine::golden::write_checkpoint(folder.path(), 'A', {.stacked_experts = true});
  const ModelInfo info = inspect_model(folder.path());
  EXPECT_TRUE(info.stored->stacked_experts);
  EXPECT_EQ(info.stored->n_tensors, info.geometry.n_tensors - 2 * (3 * 16 - 2));
  EXPECT_EQ(info.stored->bytes, static_cast<uint64_t>(4 * info.geometry.parameters));
}

TEST(ModelInfo, RefusesWhatLoadingRefuses) {
  TemporaryFolder folder;
  expect_bad_input([&] { inspect_model(folder / "none"); }, {"no such folder"});
  expect_bad_input([&] { inspect_model(folder.path()); }, {"config.json"});
  engine::golden::write_bytes(folder / "config.json", engine::kDeepseekV2Config);
  engine::golden::write_bytes(folder / "pytorch_model.bin", "x");
  expect_bad_input([&] { inspect_model(folder.path()); }, {"pickled"});
}

}  // namespace
}  // namespace fathom::harness
