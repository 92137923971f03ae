#include "harness/model_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/engine/golden_weights.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

using engine::golden::NamedTensor;
using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Severity = Finding::Severity;

auto problem(const std::string& text) {
  return AllOf(Field(&Finding::severity, Severity::kProblem), Field(&Finding::text, HasSubstr(text)));
}
auto warning(const std::string& text) {
  return AllOf(Field(&Finding::severity, Severity::kWarning), Field(&Finding::text, HasSubstr(text)));
}

// Checks the golden checkpoint A after `change` has been made to its tensors. It has no tokenizer.
template <typename Change>
ModelCheck check_changed(const Change& change) {
  testing::TemporaryFolder folder;
  const json config = engine::golden::config('A');
  std::vector<NamedTensor> tensors = engine::golden::tensors(config, {});
  for (NamedTensor& tensor : tensors) change(tensor);
  engine::golden::write_checkpoint(folder.path(), config, tensors);
  return check_model(folder.path(), 2);
}

void fill(NamedTensor& tensor, float value) {
  for (size_t i = 0; i < tensor.bytes.size(); i += 4)
    tensor.bytes.replace(i, 4, reinterpret_cast<const char*>(&value), 4);
}

constexpr const char* kExpert = "model.layers.1.mlp.experts.7.up_proj.weight";

TEST(ModelCheck, FindsNothingWrongWithGoldenWeightsButTheirMissingTokenizer) {
  const ModelCheck check = check_changed([](NamedTensor&) {});
  EXPECT_THAT(check.findings, ElementsAre(warning("no tokenizer.json")));
  EXPECT_FALSE(check.has_problem());
  EXPECT_GT(check.n_numbers, 400'000);
}

TEST(ModelCheck, ReportsNanAndInfinitiesAsProblems) {
  const ModelCheck check = check_changed([](NamedTensor& tensor) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float inf = std::numeric_limits<float>::infinity();
    if (tensor.name == kExpert) tensor.bytes.replace(400, 4, reinterpret_cast<const char*>(&nan), 4);
    if (tensor.name == "lm_head.weight") tensor.bytes.replace(0, 4, reinterpret_cast<const char*>(&inf), 4);
  });
  EXPECT_THAT(check.findings, Contains(problem(std::string(kExpert) + ": 1 NaN")));
  EXPECT_THAT(check.findings, Contains(problem("lm_head.weight: 1 infinities")));
  EXPECT_TRUE(check.has_problem());
  EXPECT_THAT(model_check_text(check), HasSubstr("PROBLEM"));
  EXPECT_THAT(model_check_json(check)["problems"], SizeIs(2));
}

TEST(ModelCheck, WarnsOfTensorsOfZeros) {
  const ModelCheck check = check_changed([](NamedTensor& tensor) {
    if (tensor.name == kExpert) fill(tensor, 0);
  });
  EXPECT_THAT(check.findings, Contains(warning(std::string(kExpert) + ": all zeros")));
  EXPECT_FALSE(check.has_problem());
}

TEST(ModelCheck, WarnsOfExtremeNorms) {
  const ModelCheck check = check_changed([](NamedTensor& tensor) {
    if (tensor.name == "model.norm.weight") fill(tensor, 1e6f);
    if (tensor.name == "lm_head.weight") fill(tensor, 1e-12f);
  });
  EXPECT_THAT(check.findings, Contains(warning("model.norm.weight: rms 1e+06")));
  EXPECT_THAT(check.findings, Contains(warning("lm_head.weight: rms 1e-12")));
}

TEST(ModelCheck, WarnsOfTensorsUnlikeTheirSiblings) {
  const ModelCheck check = check_changed([](NamedTensor& tensor) {
    if (tensor.name == kExpert) fill(tensor, 1e-5f);
  });
  EXPECT_THAT(check.findings, Contains(warning(std::string(kExpert) + ": rms 1e-05, typical")));
}

TEST(ModelCheck, ShortensLongLists) {
  const ModelCheck check = check_changed([](NamedTensor& tensor) { fill(tensor, 0); });
  EXPECT_THAT(check.findings, Contains(warning("more tensors: all zeros")));
  EXPECT_LT(check.findings.size(), 10u);
}

TextPrediction prediction(double with_bos, double without_bos) {
  return {.n_bytes = 800,
          .n_tokens = 180,
          .bits_per_byte_with_bos = with_bos,
          .bits_per_byte_without_bos = without_bos,
          .bits_per_byte_of_guessing = 3.8};
}

TEST(ModelCheck, JudgesPredictions) {
  EXPECT_THAT(judge_prediction(prediction(0.95, 1.05)), IsEmpty());
  EXPECT_THAT(judge_prediction(prediction(5.0, 5.1)), ElementsAre(warning("worse than by guessing")));
  EXPECT_THAT(judge_prediction(prediction(3.7, 3.7)), ElementsAre(warning("nearly uniform")));
  EXPECT_THAT(judge_prediction(prediction(0.1, 0.1)), ElementsAre(warning("better than any model")));
  EXPECT_THAT(judge_prediction(prediction(1.3, 1.0)), ElementsAre(warning("BOS makes the prediction worse")));
}

}  // namespace
}  // namespace fathom::harness
