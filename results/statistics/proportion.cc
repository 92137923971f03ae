#include "results/statistics/proportion.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace fathom::results {

Interval wilson_interval(double p, double n, double critical_value) {
  FATHOM_CHECK(p >= 0.0 && p <= 1.0 && n > 0.0, "p {} n {}", p, n);
  const double c2 = critical_value * critical_value;
  const double middle = p + c2 / (2 * n);
  const double half = critical_value * std::sqrt(p * (1 - p) / n + c2 / (4 * n * n));
  const double scale = 1 + c2 / n;
  // Rounding must not push the ends of 0/n and n/n past 0 and 1.
  return {std::max(0.0, (middle - half) / scale), std::min(1.0, (middle + half) / scale)};
}

double effective_n(double p, double se) {
  FATHOM_CHECK(se > 0.0, "se {}", se);
  return p * (1 - p) / (se * se);
}

}  // namespace fathom::results
