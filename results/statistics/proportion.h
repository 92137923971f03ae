// Wilson's score interval for a proportion, and its use for the mean of any bounded score.
#pragma once

#include <cstdint>

namespace fathom::results {

struct Interval {
  double low = 0.0;
  double high = 0.0;
};

/// Wilson (1927): (p + c^2/2n -+ c sqrt(p(1-p)/n + c^2/4n^2)) / (1 + c^2/n), for `p` in [0, 1], `n` > 0 items
/// (an effective number need not be whole) and the critical value `c` (1.96 for 95 %). Its width is never
/// zero.
Interval wilson_interval(double p, double n, double critical_value);

/// The number of independent 0/1 items whose mean would have this standard error: p(1-p)/se^2.
double effective_n(double p, double se);

}  // namespace fathom::results
