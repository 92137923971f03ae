// The percentile bootstrap of a mean, for values whose distribution nothing is known about.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "results/statistics/proportion.h"

namespace fathom::results {

struct BootstrapOptions {
  int64_t n_draws = 10'000;
  uint64_t seed = 0;  ///< stored with the result
};

struct BootstrapResult {
  double se = 0.0;    ///< standard deviation of the replicates
  Interval interval;  ///< 2.5 % and 97.5 % percentiles of the replicates
};

/// Resamples the values (`clusters` empty) or whole clusters of them. Needs one value. Percentiles
/// interpolate linearly between order statistics, as NumPy's default.
BootstrapResult bootstrap_mean(std::span<const double> values, std::span<const std::string> clusters,
                               const BootstrapOptions& options);

/// Mean of the strata's means, each stratum resampled within itself.
BootstrapResult bootstrap_macro(std::span<const std::vector<double>> strata, const BootstrapOptions& options);

}  // namespace fathom::results
