// Do 95 % intervals contain the truth in 95 % of samples? Exactly, by adding up binomial probabilities, where
// that is possible; else by simulation with fixed seeds. tests/results/measure/coverage.cc prints larger
// tables.
#include <gtest/gtest.h>

#include <cmath>

#include "results/statistics/counter_random.h"
#include "results/statistics/distributions.h"
#include "results/statistics/mean.h"
#include "results/statistics/paired.h"
#include "results/statistics/proportion.h"
#include "results/statistics/strata.h"

namespace fathom::results {
namespace {

constexpr double kZ = 1.959963984540054;
constexpr Bounds kUnit{0.0, 1.0};

template <typename IntervalOf>
double exact_coverage(int64_t n, double p, const IntervalOf& interval_of) {
  double covered = 0.0;
  for (int64_t k = 0; k <= n; ++k) {
    const Interval interval =
        interval_of(static_cast<double>(k) / static_cast<double>(n), static_cast<double>(n));
    if (interval.low <= p && p <= interval.high) covered += binomial_pmf(k, n, p);
  }
  return covered;
}

Interval wald(double p, double n) {
  const double half = kZ * std::sqrt(p * (1 - p) / n);
  return {p - half, p + half};
}

Interval wilson(double p, double n) {
  return wilson_interval(p, n, kZ);
}

TEST(Coverage, WilsonHoldsWhereWaldFails) {
  EXPECT_NEAR(exact_coverage(30, 0.9, wald), 0.81, 0.005);
  EXPECT_NEAR(exact_coverage(30, 0.9, wilson), 0.97, 0.005);
  EXPECT_NEAR(exact_coverage(164, 0.97, wald), 0.87, 0.005);
  EXPECT_NEAR(exact_coverage(164, 0.97, wilson), 0.97, 0.005);
  for (int64_t n : {20, 100, 1319}) {
    for (double p : {0.05, 0.25, 0.5, 0.78, 0.95})
      EXPECT_GT(exact_coverage(n, p, wilson), 0.92) << n << " " << p;
  }
}

bool covers(const Estimate& estimate, double truth) {
  return *estimate.ci_low <= truth && truth <= *estimate.ci_high;
}

// Share of `n_trials` samples whose interval covers; a trial gets its own seed.
template <typename Trial>
double simulated(int n_trials, const Trial& trial) {
  int covered = 0;
  for (int i = 0; i < n_trials; ++i) covered += trial(static_cast<uint64_t>(i) * 1'000'003 + 17) ? 1 : 0;
  return static_cast<double>(covered) / n_trials;
}

constexpr int kTrials = 2000;  // standard error of a share near 0.95: 0.005

TEST(Coverage, StratifiedMicroAndMacro) {
  const std::vector<double> truth = {0.95, 0.5, 0.3, 0.8, 0.99};
  const std::vector<int> sizes = {20, 100, 40, 10, 30};
  double micro = 0.0;
  double macro = 0.0;
  for (size_t k = 0; k < truth.size(); ++k) {
    micro += truth[k] * sizes[k] / 200.0;
    macro += truth[k] / 5.0;
  }
  const auto draw = [&](uint64_t seed) {
    std::vector<Stratum> strata(truth.size());
    uint64_t counter = 0;
    for (size_t k = 0; k < truth.size(); ++k) {
      for (int i = 0; i < sizes[k]; ++i)
        strata[k].values.push_back(random_unit(seed, counter++) < truth[k] ? 1.0 : 0.0);
    }
    return strata;
  };
  const double micro_share =
      simulated(kTrials, [&](uint64_t s) { return covers(estimate_micro(draw(s), kUnit), micro); });
  const double macro_share =
      simulated(kTrials, [&](uint64_t s) { return covers(estimate_macro(draw(s), kUnit), macro); });
  EXPECT_NEAR(micro_share, 0.95, 0.015);
  // A tenth of the weight hangs on 10 items and another on 20 that hardly ever fail: the worst case of the
  // measured designs. With MMLU's sizes it is 95 %.
  EXPECT_NEAR(macro_share, 0.93, 0.02);
}

TEST(Coverage, ClusteredItems) {
  // 60 passages of 5 questions: half of them easy (p 0.9), half hard (p 0.3).
  const auto trial = [](uint64_t seed) {
    std::vector<double> values;
    std::vector<std::string> clusters;
    uint64_t counter = 0;
    for (int c = 0; c < 60; ++c) {
      const double p = random_unit(seed, counter++) < 0.5 ? 0.9 : 0.3;
      for (int i = 0; i < 5; ++i) {
        values.push_back(random_unit(seed, counter++) < p ? 1.0 : 0.0);
        clusters.push_back(std::to_string(c));
      }
    }
    return std::pair(covers(estimate_mean(values, clusters, kUnit), 0.6),
                     covers(estimate_mean(values, {}, kUnit), 0.6));
  };
  EXPECT_NEAR(simulated(kTrials, [&](uint64_t s) { return trial(s).first; }), 0.95, 0.015);
  EXPECT_LT(simulated(kTrials, [&](uint64_t s) { return trial(s).second; }), 0.85);  // ignoring the passages
}

TEST(Coverage, BoundedScoresNearTheirLimit) {
  // 144 needle cells: 95 % score 10, the others 1, 4 or 7.
  const double truth = 0.95 * 10 + 0.05 * 4;
  const double share = simulated(kTrials, [&](uint64_t seed) {
    std::vector<double> values;
    for (uint64_t i = 0; i < 144; ++i) {
      const bool found = random_unit(seed, 2 * i) < 0.95;
      values.push_back(found ? 10.0 : 1.0 + 3.0 * static_cast<double>(random_below(3, seed, 2 * i + 1)));
    }
    return covers(estimate_mean(values, {}, Bounds{1, 10}), truth);
  });
  EXPECT_NEAR(share, 0.95, 0.025);
}

TEST(Coverage, PairedDifferences) {
  for (double flipped : {0.02, 0.10, 0.30}) {
    for (int n : {50, 164, 1319}) {
      const double lost = 0.6 * flipped;
      const double won = 0.4 * flipped;
      const double share = simulated(kTrials, [&](uint64_t seed) {
        std::vector<double> differences;
        for (int i = 0; i < n; ++i) {
          const double u = random_unit(seed, static_cast<uint64_t>(i));
          differences.push_back(u < lost ? -1.0 : u < lost + won ? 1.0 : 0.0);
        }
        return covers(estimate_difference(differences, kUnit), won - lost);
      });
      EXPECT_GE(share, 0.935) << flipped << " " << n;  // wide where hardly anything flips, never narrow
    }
  }
}

}  // namespace
}  // namespace fathom::results
