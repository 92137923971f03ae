#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "kernels/kernels.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/compare.h"

namespace fathom::kernels {
namespace {

struct Rule {
  int64_t n_experts, n_group, topk_group, k;
  bool norm_topk_prob;
  float scale;
};

struct Routed {
  std::vector<int32_t> experts;
  std::vector<float> weights;
  std::vector<float> probabilities;
};

Routed run(const Rule& rule, Array logits, int n_threads = 2) {
  const int64_t t = logits.size() / rule.n_experts;
  Array experts(Dtype::kI32, {t, rule.k});
  Array weights(Dtype::kF32, {t, rule.k});
  TestStream stream(n_threads);
  route(stream, {.logits = logits.tensor(),
                 .n_group = rule.n_group,
                 .topk_group = rule.topk_group,
                 .norm_topk_prob = rule.norm_topk_prob,
                 .scale = rule.scale,
                 .experts = experts.tensor(),
                 .weights = weights.tensor()});
  return {{experts.int_values().begin(), experts.int_values().end()},
          {weights.values().begin(), weights.values().end()},
          {logits.values().begin(), logits.values().end()}};
}

Routed run_one(const Rule& rule, const std::vector<float>& logits) {
  return run(rule, Array::of(logits, {1, rule.n_experts}));
}

// deepseek_v2.md 4.1 in double, by sorting.
void expect_twin(const Rule& rule, const Array& logits, const Routed& routed) {
  const int64_t n_rows = logits.size() / rule.n_experts;
  std::vector<double> weights, probabilities;
  for (int64_t t = 0; t < n_rows; ++t) {
    std::vector<double> p;
    for (int64_t e = 0; e < rule.n_experts; ++e) p.push_back(std::exp(logits.at(t * rule.n_experts + e)));
    const double total = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& v : p) v /= total;
    probabilities.insert(probabilities.end(), p.begin(), p.end());
    const auto by = [](const std::vector<double>& score) {
      std::vector<int64_t> order(score.size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        return score[static_cast<size_t>(a)] > score[static_cast<size_t>(b)];
      });
      return order;
    };
    const int64_t size = rule.n_experts / rule.n_group;
    std::vector<double> best;
    for (int64_t g = 0; g < rule.n_group; ++g)
      best.push_back(*std::max_element(p.begin() + g * size, p.begin() + (g + 1) * size));
    std::vector<int64_t> groups = by(best);
    groups.resize(static_cast<size_t>(rule.topk_group));
    std::vector<double> masked = p;
    for (int64_t e = 0; e < rule.n_experts; ++e) {
      if (std::find(groups.begin(), groups.end(), e / size) == groups.end())
        masked[static_cast<size_t>(e)] = 0;
    }
    const std::vector<int64_t> order = by(masked);
    double sum = 0;
    for (int64_t i = 0; i < rule.k; ++i) sum += masked[static_cast<size_t>(order[static_cast<size_t>(i)])];
    for (int64_t i = 0; i < rule.k; ++i) {
      const int64_t e = order[static_cast<size_t>(i)];
      EXPECT_EQ(routed.experts[static_cast<size_t>(t * rule.k + i)], e) << "row " << t << " slot " << i;
      const double w = masked[static_cast<size_t>(e)];
      weights.push_back(rule.norm_topk_prob && rule.k > 1 ? w / (sum + 1e-20) : w * rule.scale);
    }
  }
  EXPECT_EQ(differences(routed.weights, weights, {.absolute = 0, .relative = 2e-6}), "");
  EXPECT_EQ(differences(routed.probabilities, probabilities, {.absolute = 0, .relative = 2e-6}), "");
}

TEST(Route, MatchesItsScalarTwinForEveryRule) {
  on_every_instruction_set([] {
    Random random(1);
    for (const Rule& rule : {Rule{16, 4, 2, 3, false, 16.0f},
                             {64, 1, 1, 6, false, 1.0f},
                             {160, 8, 3, 6, false, 16.0f},
                             {12, 3, 1, 4, true, 16.0f},
                             {9, 3, 2, 6, true, 2.5f},
                             {5, 1, 1, 1, true, 3.0f},
                             {7, 7, 7, 7, false, 1.0f},
                             {1, 1, 1, 1, false, 2.0f},
                             {1024, 8, 3, 8, false, 1.0f}}) {
      Array logits = Array::uniform(random, Dtype::kF32, {37, rule.n_experts}, -6, 6);
      expect_twin(rule, logits, run(rule, logits));
    }
  });
}

TEST(Route, TheGroupLimitGoesByTheLargestExpertOfAGroup) {
  // deepseek_v2.md 10.3: expert 13 has the third largest probability and is excluded with its group.
  const std::vector<double> p = {0.1952,  0.00042, 0.01152, 0.00061, 0.00045, 0.0004, 0.00018, 0.04492,
                                 0.04456, 0.51923, 0.00238, 0.01316, 0.00069, 0.1378, 0.02397, 0.0045};
  std::vector<float> logits;
  for (double v : p) logits.push_back(static_cast<float>(std::log(v)));
  EXPECT_EQ(run_one({16, 4, 2, 3, false, 16.0f}, logits).experts, (std::vector<int32_t>{9, 0, 8}));
  EXPECT_EQ(run_one({16, 1, 1, 3, false, 16.0f}, logits).experts, (std::vector<int32_t>{9, 0, 13}));
}

TEST(Route, EqualScoresGoToTheLowestId) {
  on_every_instruction_set([] {
    const std::vector<float> equal(16, 0.5f);
    EXPECT_EQ(run_one({16, 1, 1, 6, false, 1.0f}, equal).experts, (std::vector<int32_t>{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(run_one({16, 4, 2, 6, false, 1.0f}, equal).experts, (std::vector<int32_t>{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(run_one({4, 1, 1, 2, false, 1.0f}, {1, 2, 2, 1}).experts, (std::vector<int32_t>{1, 2}));
  });
}

TEST(Route, NormTopkProbDropsTheScaleAndIsOffForOneExpert) {
  const Routed two = run_one({4, 1, 1, 2, true, 16.0f}, {1, 0, 2, -1});
  EXPECT_NEAR(two.weights[0] + two.weights[1], 1.0, 1e-6);
  const Routed one = run_one({4, 1, 1, 1, true, 16.0f}, {1, 0, 2, -1});
  EXPECT_NEAR(one.weights[0], 16.0 * one.probabilities[2], 1e-5);
}

TEST(Route, ChosenExpertsAreDistinctInKeptGroupsEvenWhenProbabilitiesVanish) {
  on_every_instruction_set([] {
    // All but one logit so low that their probabilities are exactly zero.
    std::vector<float> logits(16, -300.0f);
    logits[13] = 0.0f;
    const Routed routed = run_one({16, 4, 1, 3, false, 1.0f}, logits);
    EXPECT_EQ(routed.experts, (std::vector<int32_t>{13, 12, 14}));
    EXPECT_EQ(routed.weights[1], 0.0f);
  });
}

TEST(Route, NanLogitsStillGiveDistinctExpertsAndNanWeights) {
  on_every_instruction_set([] {
    std::vector<float> logits(16, 0.0f);
    logits[3] = std::numeric_limits<float>::quiet_NaN();
    const Routed routed = run_one({16, 4, 2, 3, false, 1.0f}, logits);
    const std::set<int32_t> distinct(routed.experts.begin(), routed.experts.end());
    EXPECT_EQ(distinct.size(), 3u);
    EXPECT_TRUE(*distinct.begin() >= 0 && *distinct.rbegin() < 16);
    EXPECT_TRUE(std::isnan(routed.weights[0]));
  });
}

TEST(Route, RowsDoNotDependOnEachOtherOrOnThreads) {
  Random random(2);
  const Rule rule{20, 4, 2, 5, false, 16.0f};
  Array logits = Array::uniform(random, Dtype::kF32, {333, 20}, -3, 3);
  const Routed all = run(rule, logits, 1);
  EXPECT_TRUE(same_bits(run(rule, logits, 4).weights, all.weights));
  for (int64_t t : {0, 100, 332}) {
    const Routed one =
        run_one(rule, {logits.values().begin() + t * 20, logits.values().begin() + (t + 1) * 20});
    EXPECT_TRUE(same_bits(one.weights, std::span(all.weights).subspan(static_cast<size_t>(t * 5), 5)));
  }
}

}  // namespace
}  // namespace fathom::kernels
