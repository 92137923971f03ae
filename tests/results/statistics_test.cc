// results/statistics against values of SciPy and NumPy (tools/goldens/statistics_goldens.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "results/statistics/bootstrap.h"
#include "results/statistics/counter_random.h"
#include "results/statistics/distributions.h"
#include "results/statistics/mean.h"
#include "results/statistics/multiple_testing.h"
#include "results/statistics/paired.h"
#include "results/statistics/power.h"
#include "results/statistics/proportion.h"
#include "results/statistics/strata.h"

namespace fathom::results {
namespace {

using nlohmann::json;
constexpr Bounds kUnit{0.0, 1.0};

json golden(const std::string& name) {
  const auto path = std::filesystem::path(FATHOM_SOURCE_DIR) / "tests/golden/statistics" / (name + ".json");
  return json::parse(read_file(path));
}

// Equal to 1e-10 of the value; tails of distributions are compared as relative numbers however small they
// are.
void expect_close(double found, double expected, const json& context) {
  EXPECT_NEAR(found, expected, 1e-10 * std::max(std::abs(expected), 1e-300)) << context.dump();
}

double evaluate(const std::string& function, const json& args) {
  const auto real = [&](size_t i) { return args.at(i).get<double>(); };
  const auto whole = [&](size_t i) { return args.at(i).get<int64_t>(); };
  if (function == "normal_cdf") return normal_cdf(real(0));
  if (function == "normal_quantile") return normal_quantile(real(0));
  if (function == "student_cdf") return student_cdf(real(0), real(1));
  if (function == "student_quantile") return student_quantile(real(0), real(1));
  if (function == "incomplete_beta") return incomplete_beta(real(0), real(1), real(2));
  if (function == "binomial_pmf") return binomial_pmf(whole(0), whole(1), real(2));
  if (function == "binomial_cdf") return binomial_cdf(whole(0), whole(1), real(2));
  ADD_FAILURE() << "no function " << function;
  return 0.0;
}

std::vector<double> zeros_and_ones(int64_t passed, int64_t n) {
  std::vector<double> values(static_cast<size_t>(n), 0.0);
  std::fill_n(values.begin(), passed, 1.0);
  return values;
}

std::vector<double> flip_differences(const Flips& flips) {
  std::vector<double> differences(static_cast<size_t>(flips.n), 0.0);
  std::fill_n(differences.begin(), flips.lost, -1.0);
  std::fill_n(differences.begin() + flips.lost, flips.won, 1.0);
  return differences;
}

TEST(Statistics, DistributionsEqualSciPy) {
  const json cases = golden("distributions");
  ASSERT_GT(cases.size(), 80u);
  for (const json& c : cases) expect_close(evaluate(c["function"], c["args"]), c["value"], c);
}

TEST(Statistics, WilsonEqualsSciPyAndTheErrorNumPy) {
  for (const json& c : golden("proportions")) {
    const std::vector<double> values = zeros_and_ones(c["passed"], c["n"]);
    const Estimate estimate = estimate_mean(values, {}, kUnit);
    EXPECT_NEAR(*estimate.ci_low, c["low"].get<double>(), 1e-12) << c;
    EXPECT_NEAR(*estimate.ci_high, c["high"].get<double>(), 1e-12) << c;
    EXPECT_EQ(estimate.ci_method, "wilson");
    if (!c["sample_se"].is_null() && c["sample_se"] != 0.0) {
      EXPECT_NEAR(*estimate.se, c["sample_se"].get<double>(), 1e-14) << c;
      EXPECT_EQ(estimate.se_method, "sample (n-1)");
    } else {
      EXPECT_GT(*estimate.se, 0.0) << c;
      EXPECT_EQ(estimate.se_method, "wilson half-width (no spread)");
    }
  }
}

TEST(Statistics, MeansEqualSciPy) {
  for (const json& c : golden("means")) {
    const auto values = c["values"].get<std::vector<double>>();
    const auto clusters = c.value("clusters", std::vector<std::string>{});
    const Estimate estimate = estimate_mean(values, clusters, std::nullopt);
    expect_close(*estimate.value, c["value"], c);
    expect_close(*estimate.se, c["se"], c);
    expect_close(*estimate.ci_low, c["low"], c);
    expect_close(*estimate.ci_high, c["high"], c);
    EXPECT_EQ(estimate.se_method, clusters.empty() ? "sample (n-1)" : "clustered");
  }
}

TEST(Statistics, GroupsEqualTheFormulas) {
  for (const json& c : golden("strata")) {
    std::vector<Stratum> strata;
    for (const json& values : c["strata"]) strata.push_back({values.get<std::vector<double>>(), {}});
    const Estimate micro = estimate_micro(strata, kUnit);
    const Estimate macro = estimate_macro(strata, kUnit);
    expect_close(*micro.value, c["micro"], c);
    expect_close(*micro.se, c["micro_se"], c);
    expect_close(*macro.value, c["macro"], c);
    expect_close(*macro.se, c["macro_se"], c);
    expect_close(*lmeval_pooled_se(strata), c["lmeval_pooled_se"], c);
    EXPECT_EQ(micro.se_method, "stratified");
  }
}

TEST(Statistics, McNemarAndTheIntervalOfADifferenceEqualSciPy) {
  for (const json& c : golden("flips")) {
    const Flips flips{c["n"], c["lost"], c["won"]};
    EXPECT_NEAR(mcnemar_exact(flips), c["exact"].get<double>(), 1e-12) << c;
    EXPECT_NEAR(mcnemar_mid_p(flips), c["mid_p"].get<double>(), 1e-12) << c;
    EXPECT_NEAR(mcnemar_worse(flips), c["worse"].get<double>(), 1e-12) << c;
    const Estimate estimate = estimate_difference(flip_differences(flips), kUnit);
    EXPECT_NEAR(*estimate.value, c["difference"].get<double>(), 1e-14) << c;
    EXPECT_NEAR(*estimate.ci_low, c["low"].get<double>(), 1e-12) << c;
    EXPECT_NEAR(*estimate.ci_high, c["high"].get<double>(), 1e-12) << c;
    if (flips.lost + flips.won == 0) continue;
    EXPECT_NEAR(*estimate.se, c["se"].get<double>(), 1e-14) << c;
  }
}

TEST(Statistics, PairedTestEqualsSciPy) {
  for (const json& c : golden("paired")) {
    expect_close(*paired_t_test(c["differences"].get<std::vector<double>>()), c["p"], c["p"]);
  }
}

TEST(Statistics, IntervalsOfDifferencesEqualSciPyAtEveryLevel) {
  for (const json& c : golden("difference_intervals")) {
    const auto differences = c["differences"].get<std::vector<double>>();
    const double level = c["level"];
    Estimate estimate;
    if (c["kind"] == "clustered") {
      estimate =
          estimate_clustered_difference(differences, c["clusters"].get<std::vector<std::string>>(), level);
    } else {
      const bool bounded = c["kind"] == "bounded";
      estimate =
          estimate_difference(differences, bounded ? std::optional(Bounds{1, 10}) : std::nullopt, level);
    }
    expect_close(*estimate.se, c["se"], c);
    expect_close(*estimate.ci_low, c["low"], c);
    expect_close(*estimate.ci_high, c["high"], c);
  }
}

TEST(Statistics, IntervalsOfGroupsHaveSatterthwaitesDegreesOfFreedom) {
  for (const json& c : golden("group_intervals")) {
    std::vector<Stratum> strata;
    for (const json& values : c["strata"]) strata.push_back({values.get<std::vector<double>>(), {}});
    strata.back().clusters = c["clusters"].get<std::vector<std::string>>();
    const Estimate estimate = c["estimator"] == "micro" ? estimate_micro(strata, std::nullopt)
                                                        : estimate_macro(strata, std::nullopt);
    expect_close(*estimate.value, c["value"], c);
    expect_close(*estimate.se, c["se"], c);
    expect_close(*estimate.ci_low, c["low"], c);
    expect_close(*estimate.ci_high, c["high"], c);
    EXPECT_EQ(estimate.se_method, "stratified, clustered");
  }
}

TEST(Statistics, PowerEqualsSciPy) {
  for (const json& c : golden("power")) {
    expect_close(minimum_detectable_effect(c["se"]), c["mde"], c);
    EXPECT_EQ(items_needed(c["effect"], c["variance"]), c["items"].get<double>());
  }
}

TEST(Statistics, BootstrapAgreesWithSciPyWithinItsNoise) {
  for (const json& c : golden("bootstraps")) {
    const BootstrapResult found = bootstrap_mean(c["values"].get<std::vector<double>>(), {}, {.seed = 5});
    const double se = c["se"];
    EXPECT_NEAR(found.se, se, 0.03 * se);
    EXPECT_NEAR(found.interval.low, c["low"].get<double>(), 0.08 * se);
    EXPECT_NEAR(found.interval.high, c["high"].get<double>(), 0.08 * se);
  }
}

TEST(Statistics, BenjaminiHochbergEqualsSciPy) {
  for (const json& c : golden("multiple_testing")) {
    const std::vector<double> q = benjamini_hochberg(c["p"].get<std::vector<double>>());
    for (size_t i = 0; i < q.size(); ++i) expect_close(q[i], c["q"][i], c["q"][i]);
  }
}

TEST(Statistics, NothingIsEverPlusMinusZero) {
  for (int64_t n : {1, 2, 10, 164}) {
    for (int64_t passed : {int64_t{0}, n}) {
      const Estimate estimate = estimate_mean(zeros_and_ones(passed, n), {}, kUnit);
      EXPECT_GT(*estimate.se, 0.0);
      EXPECT_LT(*estimate.ci_low, *estimate.ci_high);
      EXPECT_GE(*estimate.ci_low, 0.0);
      EXPECT_LE(*estimate.ci_high, 1.0);
    }
  }
  const std::vector<Stratum> perfect = {{{1.0, 1.0}, {}}, {{1.0, 1.0, 1.0}, {}}, {{1.0}, {}}};
  EXPECT_GT(*estimate_micro(perfect, kUnit).se, 0.0);
  EXPECT_GT(*estimate_macro(perfect, kUnit).se, 0.0);
  EXPECT_GT(*estimate_difference(std::vector<double>(50, 0.0), kUnit).se, 0.0);
  // Without limits there is nothing to take a width from, so there is no error rather than one of zero.
  const Estimate constant = estimate_mean(std::vector<double>(5, 7.0), {}, std::nullopt);
  EXPECT_FALSE(constant.se);
  EXPECT_EQ(constant.ci_method, "none (no spread)");
  EXPECT_EQ(estimate_mean(std::vector<double>{7.0}, {}, std::nullopt).ci_method, "none (one item)");
  EXPECT_FALSE(estimate_mean({}, {}, kUnit).value);
}

TEST(Statistics, IntervalsOfBoundedScoresStayInside) {
  const std::vector<double> needle = {10, 10, 10, 10, 10, 10, 10, 1};
  const Estimate estimate = estimate_mean(needle, {}, Bounds{1, 10});
  EXPECT_NEAR(*estimate.value, 8.875, 1e-12);
  EXPECT_LE(*estimate.ci_high, 10.0);
  EXPECT_GT(*estimate.ci_high, 9.5);
  EXPECT_LT(*estimate.ci_low, 7.0);
  EXPECT_EQ(estimate.ci_method, "wilson (effective n)");
}

TEST(Statistics, ClustersCountOnlyWhereItemsShareOne) {
  const std::vector<double> values = {0, 0, 1, 0};
  const std::vector<std::string> one(4, "subject");
  const std::vector<std::string> own = {"a", "b", "c", "d"};
  EXPECT_EQ(estimate_mean(values, one, kUnit).se_method, "sample (n-1)");
  EXPECT_EQ(estimate_mean(values, own, kUnit).se_method, "sample (n-1)");
  const std::vector<std::string> pairs = {"a", "a", "b", "b"};
  const Estimate estimate = estimate_mean(values, pairs, kUnit);
  EXPECT_EQ(estimate.se_method, "clustered");
  EXPECT_EQ(estimate.n_clusters, 2);
}

TEST(Statistics, StrataOfOneItemAreJudgedTogether) {
  // 57 subjects, one question each: the stratified error is then the plain one.
  std::vector<Stratum> strata;
  std::vector<double> all;
  for (int k = 0; k < 57; ++k) {
    strata.push_back({{k % 3 == 0 ? 1.0 : 0.0}, {}});
    all.push_back(strata.back().values[0]);
  }
  const Estimate micro = estimate_micro(strata, kUnit);
  EXPECT_NEAR(*micro.se, *estimate_mean(all, {}, kUnit).se, 1e-12);
  EXPECT_EQ(micro.se_method, "stratified, single items collapsed");
  EXPECT_FALSE(lmeval_pooled_se(strata));  // lm-eval divides by zero here
}

TEST(Statistics, AnEmptyStratumHasNoMacroValue) {
  const std::vector<Stratum> strata = {{{1.0, 0.0}, {}}, {{}, {}}};
  EXPECT_FALSE(estimate_macro(strata, kUnit).value);
  EXPECT_EQ(estimate_micro(strata, kUnit).value, 0.5);
}

TEST(Statistics, MinimumDetectableEffectsOfThePublishedTable) {
  const auto mde_pp = [](double flips, double n) {
    return 100 * minimum_detectable_effect(std::sqrt(flips / n));
  };
  EXPECT_NEAR(mde_pp(0.10, 164), 6.9, 0.05);
  EXPECT_NEAR(mde_pp(0.05, 1319), 1.7, 0.05);
  EXPECT_NEAR(mde_pp(0.20, 14042), 1.06, 0.005);
  EXPECT_NEAR(items_needed(0.01, 0.10), 7849, 1);
  EXPECT_NEAR(items_needed(0.005, 0.10), 31396, 2);
}

TEST(Statistics, RandomNumbersAreSplitMix64) {
  // First outputs for seed 1234567 as published with the generator.
  EXPECT_EQ(random_bits(1234567, 0), 6457827717110365317u);
  EXPECT_EQ(random_bits(1234567, 1), 3203168211198807973u);
  EXPECT_EQ(random_bits(1234567, 2), 9817491932198370423u);
}

TEST(Statistics, BootstrapRepeatsItselfAndAgreesWithTheFormula) {
  std::vector<double> values;
  for (uint64_t i = 0; i < 400; ++i) values.push_back(random_unit(5, i));
  const BootstrapResult a = bootstrap_mean(values, {}, {.seed = 11});
  const BootstrapResult b = bootstrap_mean(values, {}, {.seed = 11});
  const BootstrapResult c = bootstrap_mean(values, {}, {.seed = 12});
  EXPECT_EQ(a.interval.low, b.interval.low);
  EXPECT_NE(a.interval.low, c.interval.low);
  const Estimate formula = estimate_mean(values, {}, std::nullopt);
  EXPECT_NEAR(a.se, *formula.se, 0.03 * *formula.se);
  EXPECT_NEAR(a.interval.low, *formula.ci_low, 0.1 * *formula.se);
  EXPECT_NEAR(a.interval.high, *formula.ci_high, 0.1 * *formula.se);
}

TEST(Statistics, BootstrapDrawsWholeClusters) {
  std::vector<double> values;
  std::vector<std::string> clusters;
  for (uint64_t c = 0; c < 40; ++c) {
    for (int i = 0; i < 5; ++i) {
      values.push_back(random_unit(3, c));  // the same value in a cluster
      clusters.push_back("cluster " + std::to_string(c));
    }
  }
  const double se = clustered_error(values, clusters).se;
  EXPECT_NEAR(bootstrap_mean(values, clusters, {.seed = 1}).se, se, 0.05 * se);
  EXPECT_LT(bootstrap_mean(values, {}, {.seed = 1}).se, 0.6 * se);
}

TEST(Statistics, BootstrapOfAGroupResamplesWithinStrata) {
  // Two strata without spread inside: whatever is drawn, the macro mean is the same.
  const std::vector<std::vector<double>> strata = {{1, 1, 1}, {0, 0}};
  EXPECT_EQ(bootstrap_macro(strata, {.n_draws = 100}).se, 0.0);
}

}  // namespace
}  // namespace fathom::results
