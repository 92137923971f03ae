#include "results/statistics/paired.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "results/statistics/distributions.h"
#include "results/statistics/mean.h"

namespace fathom::results {
namespace {

double critical_value(double level, std::optional<double> df) {
  const double upper = 1.0 - (1.0 - level) / 2;
  return df ? student_quantile(upper, *df) : normal_quantile(upper);
}

// Wald's interval after adding a difference of -width and one of +width.
void add_bonett_price_interval(std::span<const double> differences, double width, double level,
                               Estimate& estimate) {
  double sum = 0.0;
  double squares = 2 * width * width;
  for (double d : differences) {
    sum += d;
    squares += d * d;
  }
  const double n = static_cast<double>(differences.size()) + 2;
  const double mean = sum / n;
  const double se = std::sqrt((squares / n - mean * mean) / n);
  const double critical = critical_value(level, std::nullopt);
  estimate.ci_low = std::max(-width, mean - critical * se);
  estimate.ci_high = std::min(width, mean + critical * se);
  estimate.ci_method = "bonett-price";
  if (!estimate.se || *estimate.se == 0.0) {
    estimate.se = se;
    estimate.se_method = "bonett-price (no spread)";
  }
}

}  // namespace

double mcnemar_exact(const Flips& flips) {
  const int64_t n = flips.lost + flips.won;
  if (n == 0) return 1.0;
  return std::min(1.0, 2 * binomial_cdf(std::min(flips.lost, flips.won), n, 0.5));
}

double mcnemar_mid_p(const Flips& flips) {
  const int64_t n = flips.lost + flips.won;
  if (n == 0) return 1.0;
  const int64_t least = std::min(flips.lost, flips.won);
  // For equal counts both tails hold the middle term, and the doubled mid-p is exactly 1.
  if (flips.lost == flips.won) return 1.0;
  return 2 * binomial_cdf(least, n, 0.5) - binomial_pmf(least, n, 0.5);
}

double mcnemar_worse(const Flips& flips) {
  return 1.0 - binomial_cdf(flips.lost - 1, flips.lost + flips.won, 0.5);
}

Estimate estimate_difference(std::span<const double> differences, std::optional<Bounds> bounds,
                             double level) {
  Estimate estimate{.n = static_cast<int64_t>(differences.size())};
  if (differences.empty()) return estimate;
  estimate.value = mean_of(differences);
  const auto n = static_cast<double>(differences.size());
  if (differences.size() >= 2) {
    estimate.se = std::sqrt(sample_variance(differences) / n);
    estimate.se_method = "paired sample (n-1)";
  }
  if (bounds) {
    add_bonett_price_interval(differences, bounds->high - bounds->low, level, estimate);
  } else if (estimate.se && *estimate.se > 0.0) {
    const double half = critical_value(level, n - 1) * *estimate.se;
    estimate.ci_low = *estimate.value - half;
    estimate.ci_high = *estimate.value + half;
    estimate.ci_method = "student t";
  } else {
    estimate.se.reset();
    estimate.se_method = estimate.ci_method =
        differences.size() == 1 ? "none (one item)" : "none (no spread)";
  }
  return estimate;
}

Estimate estimate_clustered_difference(std::span<const double> differences,
                                       std::span<const std::string> clusters, double level) {
  Estimate estimate{.n = static_cast<int64_t>(differences.size())};
  if (differences.empty()) return estimate;
  estimate.value = mean_of(differences);
  if (!share_clusters(clusters)) return estimate;
  const ClusteredError error = clustered_error(differences, clusters);
  estimate.n_clusters = error.n_clusters;
  if (error.se == 0.0) {
    estimate.se_method = estimate.ci_method = "none (no spread)";
    return estimate;
  }
  estimate.se = error.se;
  estimate.se_method = "paired, clustered";
  const double half = critical_value(level, static_cast<double>(error.n_clusters - 1)) * error.se;
  estimate.ci_low = *estimate.value - half;
  estimate.ci_high = *estimate.value + half;
  estimate.ci_method = "student t (clusters - 1)";
  return estimate;
}

std::optional<double> paired_t_test(std::span<const double> differences) {
  if (differences.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(differences.size());
  const double mean = mean_of(differences);
  const double se = std::sqrt(sample_variance(differences) / n);
  if (se == 0.0) return mean == 0.0 ? 1.0 : 0.0;
  return 2 * student_cdf(-std::abs(mean / se), n - 1);
}

}  // namespace fathom::results
