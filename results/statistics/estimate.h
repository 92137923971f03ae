// A value with its uncertainty: what every number that fathom reports consists of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace fathom::results {

/// An estimate never claims an error of zero: where the data show no spread, the standard error and the
/// interval come from the Wilson formula or are absent, and the method says so.
struct Estimate {
  std::optional<double> value;
  int64_t n = 0;                      ///< items that count
  std::optional<int64_t> n_clusters;  ///< where the error is clustered
  std::optional<double> se;
  std::string se_method = "none";
  std::optional<double> ci_low;
  std::optional<double> ci_high;
  std::string ci_method = "none";
};

inline constexpr double kConfidenceLevel = 0.95;

/// Limits of a score, for intervals that must not leave them.
struct Bounds {
  double low = 0.0;
  double high = 1.0;
};

}  // namespace fathom::results
