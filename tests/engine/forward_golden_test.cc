// The published values of the four golden configurations (deepseek_v2.md 10.3): float64 evaluations of the
// model's formulas with weights that anyone can recompute.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/rope.h"
#include "tests/engine/tiny_model.h"
#include "tests/space_under_test.h"

namespace fathom::engine {
namespace {

struct GoldenTop {
  TokenId id;
  double logit;
};

struct GoldenRow {
  char config;
  int64_t position;
  double logits[4];
  GoldenTop top[3];
  double logsumexp;
};

constexpr GoldenRow kRows[] = {
    {'A',
     0,
     {1.845042, 1.381840, 1.045744, 0.496404},
     {{107, 2.859723}, {60, 2.622310}, {17, 2.506028}},
     5.620208},
    {'A',
     5,
     {-0.367551, 0.180188, 1.210055, -1.039487},
     {{12, 3.376250}, {34, 2.910646}, {121, 2.723231}},
     5.699761},
    {'A',
     10,
     {-1.140906, -1.122995, -0.447725, -0.831995},
     {{51, 3.584037}, {80, 3.229629}, {91, 2.360427}},
     5.623671},
    {'B',
     0,
     {1.526013, -0.561945, -1.093046, 0.306394},
     {{4, 3.051446}, {106, 2.556567}, {76, 2.524517}},
     5.584160},
    {'B',
     5,
     {-0.918249, -1.715755, -0.189545, 1.665073},
     {{11, 2.462585}, {119, 2.235824}, {51, 2.091341}},
     5.308325},
    {'B',
     10,
     {2.681390, -0.380213, -1.152882, 1.130768},
     {{127, 4.288982}, {53, 2.902907}, {0, 2.681390}},
     5.814644},
    {'C',
     0,
     {-0.924689, 1.731210, -0.679046, 1.173166},
     {{78, 4.018988}, {6, 2.643869}, {18, 2.427741}},
     5.686694},
    {'C',
     24,
     {2.693897, 1.527062, -2.888657, 1.599411},
     {{105, 2.720577}, {0, 2.693897}, {36, 2.248506}},
     5.653454},
    {'C',
     47,
     {0.786306, 0.036038, -0.792740, 0.287258},
     {{106, 2.619382}, {66, 2.401423}, {101, 2.282079}},
     5.461653},
    {'D',
     5,
     {-0.465189, 0.139106, 1.087075, -1.109246},
     {{12, 3.436325}, {34, 2.890571}, {121, 2.837675}},
     5.690637},
    {'D',
     10,
     {-0.968453, -1.120270, -0.094663, -0.654355},
     {{51, 3.616794}, {80, 3.555913}, {91, 2.418035}},
     5.665571},
};

int64_t golden_length(char config) {
  return config == 'C' ? 48 : 11;
}

// Of log p over golden_length(config) ids.
constexpr std::pair<char, double> kSums[] = {
    {'A', -49.900493}, {'B', -56.257313}, {'C', -269.095372}, {'D', -50.076446}};

// fp32 keeps six digits of these logits; the published values have seven.
constexpr double kTolerance = 2e-5;

TEST(ForwardGolden, LogitsTopThreeAndLogsumexpOfEveryPublishedRow) {
  for (const GoldenRow& row : kRows) {
    SCOPED_TRACE(::testing::Message() << row.config << " position " << row.position);
    TinyModel model(row.config);
    for (AttentionForm form : {AttentionForm::kExpanded, AttentionForm::kAbsorbed}) {
      const std::vector<float> logprobs =
          model.distribution(golden::input_ids(row.position + 1), {.form = form});
      for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(logprobs[i], row.logits[i] - row.logsumexp, kTolerance);
      std::vector<size_t> order(logprobs.size());
      for (size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logprobs[a] > logprobs[b]; });
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(static_cast<TokenId>(order[i]), row.top[i].id);
        EXPECT_NEAR(logprobs[order[i]], row.top[i].logit - row.logsumexp, kTolerance);
      }
    }
  }
}

TEST(ForwardGolden, InBf16EveryTwinIsOffByTheSameRoundingAndChunksChangeNoBit) {
  constexpr kernels::Compute kBf16 = kernels::Compute::kBF16;
  if (kernels::space_under_test() == kernels::Space::kCpu) {
    if (const auto refusal = kernels::compute_refusal(kernels::Space::kCpu, kBf16)) GTEST_SKIP() << *refusal;
  }
  // What rounding to bf16 changes in the mean log p, as the CPU computes it; A chooses another expert. The
  // order of fp32 additions is worth some 1e-4.
  constexpr double kTwins = 1e-3;
  const std::map<char, double> changes = {{'A', -0.0815}, {'B', -0.0062}, {'C', -0.0113}, {'D', -0.0016}};
  for (const auto& [config, expected] : kSums) {
    TinyModel model(golden::config(config), {}, 2, kBf16);
    const std::vector<TokenId> ids = golden::input_ids(golden_length(config));
    for (AttentionForm form : {AttentionForm::kExpanded, AttentionForm::kAbsorbed}) {
      const Scores whole = model.score(ids, {.form = form});
      const double change = (whole.sum() - expected) / static_cast<double>(ids.size());
      EXPECT_NEAR(change, changes.at(config), kTwins) << config;
      EXPECT_EQ(model.score(ids, {.form = form, .chunks = {1, 2, 5}}).logprobs, whole.logprobs) << config;
    }
  }
}

TEST(ForwardGolden, SumOfLogprobsOfEveryConfiguration) {
  for (const auto& [config, expected] : kSums) {
    TinyModel model(config);
    for (AttentionForm form : {AttentionForm::kExpanded, AttentionForm::kAbsorbed}) {
      const double sum = model.score(golden::input_ids(golden_length(config)), {.form = form}).sum();
      EXPECT_NEAR(sum, expected, 2e-5) << config;
      RecordProperty(std::string(1, config) + (form == AttentionForm::kExpanded ? "_expanded" : "_absorbed"),
                     std::to_string(sum - expected));
    }
  }
}

TEST(ForwardGolden, GroupLimitExcludesTheExpertThatGreedyWouldTake) {
  // Token 0, first MoE layer of A: probabilities .5192 (9), .1952 (0), .1378 (13), .0449 (7), .0446 (8);
  // groups 2 and 0 win, so 13 is out and 8 is in.
  TinyModel model('A');
  const Scores scores = model.score({1});
  EXPECT_TRUE(scores.routes[0].empty());
  EXPECT_EQ(scores.routes[1], (std::vector<int32_t>{9, 0, 8}));
}

}  // namespace
}  // namespace fathom::engine
