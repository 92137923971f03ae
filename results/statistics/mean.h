// The mean of the items of one task, with its standard error and interval.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "results/statistics/estimate.h"

namespace fathom::results {

double mean_of(std::span<const double> values);
/// Sum of squared deviations over n - 1; needs two values.
double sample_variance(std::span<const double> values);

/// True when there are at least two clusters and some items share one.
bool share_clusters(std::span<const std::string> clusters);

/// Standard error of a mean over clusters of items that belong together (a shared passage, say):
/// sqrt(C/(C-1) * sum_c (sum_{i in c} (s_i - mean))^2) / n. Needs two clusters.
/// Source: Miller 2024 (arXiv:2411.00640) with the small-sample factor C/(C-1).
struct ClusteredError {
  double se = 0.0;
  int64_t n_clusters = 0;
};
ClusteredError clustered_error(std::span<const double> values, std::span<const std::string> clusters);

/// Mean of `values` with a 95 % interval. `clusters` (empty, or one name an item) makes the error clustered
/// when at least two clusters exist and some item shares one. `bounds` are the score's limits, if it has any.
/// - scores with bounds: Wilson's interval at the effective number of items; for 0/1 scores of independent
///   items that is Wilson's interval itself
/// - scores without: Student's t
Estimate estimate_mean(std::span<const double> values, std::span<const std::string> clusters,
                       std::optional<Bounds> bounds);

/// Completes an estimate whose value and standard error are known. `df` are the degrees of freedom of `se`;
/// none means the normal distribution.
void add_interval(Estimate& estimate, std::optional<Bounds> bounds, std::optional<double> df);

}  // namespace fathom::results
