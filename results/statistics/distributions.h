// The distributions behind intervals and tests: normal, Student's t, binomial. Double precision; checked
// against SciPy to 1e-10 relative (tests/golden/statistics).
#pragma once

#include <cstdint>

namespace fathom::results {

double normal_cdf(double z);
/// Inverse of normal_cdf for 0 < p < 1.
double normal_quantile(double p);

/// P(T <= t) with `df` > 0 degrees of freedom.
double student_cdf(double t, double df);
/// Inverse of student_cdf for 0 < p < 1.
double student_quantile(double p, double df);

/// Regularised incomplete beta function I_x(a, b), a, b > 0, 0 <= x <= 1.
double incomplete_beta(double a, double b, double x);

/// log of n over k; exact to rounding for all 0 <= k <= n.
double log_binomial_coefficient(int64_t n, int64_t k);
/// P(X = k) and P(X <= k) for X ~ Binomial(n, p).
double binomial_pmf(int64_t k, int64_t n, double p);
double binomial_cdf(int64_t k, int64_t n, double p);

}  // namespace fathom::results
