#include "results/statistics/mean.h"

#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "results/statistics/distributions.h"
#include "results/statistics/proportion.h"

namespace fathom::results {
namespace {

constexpr double kUpperTail = 1.0 - (1.0 - kConfidenceLevel) / 2;

bool all_binary(std::span<const double> values) {
  for (double value : values) {
    if (value != 0.0 && value != 1.0) return false;
  }
  return true;
}

}  // namespace

double mean_of(std::span<const double> values) {
  FATHOM_CHECK(!values.empty());
  double sum = 0.0;
  for (double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double sample_variance(std::span<const double> values) {
  FATHOM_CHECK(values.size() >= 2);
  const double mean = mean_of(values);
  double sum = 0.0;
  for (double value : values) sum += (value - mean) * (value - mean);
  return sum / static_cast<double>(values.size() - 1);
}

bool share_clusters(std::span<const std::string> clusters) {
  const std::set<std::string> names(clusters.begin(), clusters.end());
  return names.size() >= 2 && names.size() < clusters.size();
}

ClusteredError clustered_error(std::span<const double> values, std::span<const std::string> clusters) {
  FATHOM_CHECK(values.size() == clusters.size());
  const double mean = mean_of(values);
  std::map<std::string, double> deviations;
  for (size_t i = 0; i < values.size(); ++i) deviations[clusters[i]] += values[i] - mean;
  const auto c = static_cast<double>(deviations.size());
  FATHOM_CHECK(c >= 2);
  double sum = 0.0;
  for (const auto& [name, deviation] : deviations) sum += deviation * deviation;
  return {.se = std::sqrt(c / (c - 1) * sum) / static_cast<double>(values.size()),
          .n_clusters = static_cast<int64_t>(deviations.size())};
}

void add_interval(Estimate& estimate, std::optional<Bounds> bounds, std::optional<double> df) {
  if (!estimate.value) return;
  const double critical = df ? student_quantile(kUpperTail, *df) : normal_quantile(kUpperTail);
  const bool has_error = estimate.se && *estimate.se > 0.0;
  if (bounds) {
    const double width = bounds->high - bounds->low;
    const double p = (*estimate.value - bounds->low) / width;
    const double n = has_error ? effective_n(p, *estimate.se / width) : static_cast<double>(estimate.n);
    const Interval wilson = wilson_interval(p, n, critical);
    estimate.ci_low = bounds->low + width * wilson.low;
    estimate.ci_high = bounds->low + width * wilson.high;
    estimate.ci_method = has_error ? "wilson (effective n)" : "wilson";
    if (!has_error) {
      estimate.se = (*estimate.ci_high - *estimate.ci_low) / (2 * critical);
      estimate.se_method = "wilson half-width (no spread)";
    }
  } else if (has_error) {
    estimate.ci_low = *estimate.value - critical * *estimate.se;
    estimate.ci_high = *estimate.value + critical * *estimate.se;
    estimate.ci_method = df ? "student t" : "normal";
  } else {
    estimate.se.reset();
    estimate.se_method = estimate.ci_method = estimate.n == 1 ? "none (one item)" : "none (no spread)";
  }
}

Estimate estimate_mean(std::span<const double> values, std::span<const std::string> clusters,
                       std::optional<Bounds> bounds) {
  Estimate estimate{.n = static_cast<int64_t>(values.size())};
  if (values.empty()) return estimate;
  estimate.value = mean_of(values);
  const auto n = static_cast<double>(values.size());
  if (share_clusters(clusters)) {
    const ClusteredError error = clustered_error(values, clusters);
    estimate.se = error.se;
    estimate.se_method = "clustered";
    estimate.n_clusters = error.n_clusters;
    add_interval(estimate, bounds, static_cast<double>(error.n_clusters - 1));
    return estimate;
  }
  if (values.size() >= 2) {
    estimate.se = std::sqrt(sample_variance(values) / n);
    estimate.se_method = "sample (n-1)";
  }
  if (bounds && bounds->low == 0.0 && bounds->high == 1.0 && all_binary(values)) {
    const Interval wilson = wilson_interval(*estimate.value, n, normal_quantile(kUpperTail));
    estimate.ci_low = wilson.low;
    estimate.ci_high = wilson.high;
    estimate.ci_method = "wilson";
    if (!estimate.se || *estimate.se == 0.0) {
      estimate.se = (wilson.high - wilson.low) / (2 * normal_quantile(kUpperTail));
      estimate.se_method = "wilson half-width (no spread)";
    }
    return estimate;
  }
  add_interval(estimate, bounds, values.size() >= 2 ? std::optional(n - 1) : std::nullopt);
  return estimate;
}

}  // namespace fathom::results
