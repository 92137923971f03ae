// The committed goldens of tests/golden/engine: float64 values that PyTorch with transformers was made to
// confirm.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/engine/agreement.h"

namespace fathom::engine {
namespace {

using nlohmann::json;

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(FATHOM_SOURCE_DIR "/tests/golden/engine")) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

kernels::Dtype dtype_of(const std::string& name) {
  return name == "BF16" ? kernels::Dtype::kBF16 : name == "F16" ? kernels::Dtype::kF16 : kernels::Dtype::kF32;
}

class TransformersGolden : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    golden_ = json::parse(read_file(FATHOM_SOURCE_DIR "/tests/golden/engine/" + GetParam() + ".json"));
    model_ =
        std::make_unique<TinyModel>(golden_["config"], golden::Format{.dtype = dtype_of(golden_["dtype"])});
    ids_ = golden_["ids"].get<std::vector<TokenId>>();
    tolerance_ = golden_["tolerance"];
    const json kept = golden_.value("positions", json());
    for (size_t i = 0; i < golden_["logprobs"].size(); ++i)
      positions_.push_back(kept.is_null() ? i : kept[i].get<size_t>());
    // A flipped expert changes what follows: nothing is compared from the first router near-tie on.
    end_ = ids_.size();
    for (const json& layer : golden_["router_margins"]) {
      for (size_t i = 0; i < layer.size(); ++i) {
        if (!layer[i].is_null() && layer[i].get<double>() < kRouterMargin)
          end_ = std::min(end_, positions_[i]);
      }
    }
  }

  void expect_scores(const Scores& scores) const {
    for (size_t i = 0; i < positions_.size() && positions_[i] < end_; ++i) {
      const size_t t = positions_[i];
      if (t > 0) {
        EXPECT_NEAR(scores.logprobs[t], golden_["logprobs"][i].get<double>(), tolerance_) << "position " << t;
      }
      if (golden_["margins"][i].get<double>() >= kArgmaxMargin) {
        EXPECT_EQ(scores.argmax[t], golden_["argmax"][i].get<TokenId>()) << "position " << t;
      }
      for (size_t layer = 0; layer < scores.routes.size(); ++layer) expect_route(scores, layer, i);
    }
  }

  void expect_route(const Scores& scores, size_t layer, size_t i) const {
    const json& routes = golden_["routes"][layer];
    ASSERT_EQ(routes.empty(), scores.routes[layer].empty()) << "layer " << layer;
    if (routes.empty()) return;
    auto expected = routes[i].get<std::vector<int32_t>>();
    const auto begin = scores.routes[layer].begin() + static_cast<ptrdiff_t>(positions_[i] * expected.size());
    std::vector<int32_t> actual(begin, begin + static_cast<ptrdiff_t>(expected.size()));
    std::sort(expected.begin(), expected.end());
    std::sort(actual.begin(), actual.end());
    EXPECT_EQ(actual, expected) << "layer " << layer << ", position " << positions_[i];
  }

  json golden_;
  std::unique_ptr<TinyModel> model_;
  std::vector<TokenId> ids_;
  std::vector<size_t> positions_;
  size_t end_ = 0;
  double tolerance_ = 0.0;
};

TEST_P(TransformersGolden, OnePrefillInBothForms) {
  for (AttentionForm form : {AttentionForm::kExpanded, AttentionForm::kAbsorbed}) {
    const Scores scores = model_->score(ids_, {.form = form});
    expect_scores(scores);
    if (end_ == ids_.size()) {
      EXPECT_NEAR(scores.sum(), golden_["sum_logprob"].get<double>(),
                  tolerance_ * static_cast<double>(ids_.size()));
    }
  }
}

TEST_P(TransformersGolden, PrefixAndContinuationAtEverySplit) {
  for (const json& split : golden_["splits"]) {
    SCOPED_TRACE(split.dump());
    expect_scores(model_->score(ids_, {.chunks = {split.get<int64_t>()}}));
  }
}

TEST_P(TransformersGolden, TheBestIdsAfterTheLast) {
  const std::vector<float> logprobs = model_->distribution(ids_);
  ASSERT_EQ(end_, ids_.size()) << "a router near-tie decides the last row: give the case another draw of ids";
  for (const json& best : golden_["top"]) {
    EXPECT_NEAR(logprobs[best["id"].get<size_t>()], best["logprob"].get<double>(), tolerance_) << best;
  }
}

// Near-ties must stay rare enough that the comparison means something.
TEST(TransformersGoldens, FewPositionsAreNearTies) {
  int64_t positions = 0, excluded = 0;
  for (const std::string& name : golden_names()) {
    const json golden = json::parse(read_file(FATHOM_SOURCE_DIR "/tests/golden/engine/" + name + ".json"));
    positions += static_cast<int64_t>(golden["margins"].size());
    for (const json& margin : golden["margins"]) excluded += margin.get<double>() < kArgmaxMargin;
    for (const json& layer : golden["router_margins"]) {
      for (const json& margin : layer) excluded += !margin.is_null() && margin.get<double>() < kRouterMargin;
    }
  }
  EXPECT_GE(positions, 1000);
  EXPECT_LE(static_cast<double>(excluded), 0.01 * static_cast<double>(positions));
}

INSTANTIATE_TEST_SUITE_P(Case, TransformersGolden, ::testing::ValuesIn(golden_names()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace fathom::engine
