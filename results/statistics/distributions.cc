#include "results/statistics/distributions.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "base/error.h"

namespace fathom::results {
namespace {

// Continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8), evaluated by Lentz's
// method; converges fast for x < (a + 1) / (a + b + 2).
double beta_continued_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  auto away_from_zero = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double c = 1.0;
  double d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
  double fraction = d;
  for (int m = 1; m <= 10'000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1.0 / away_from_zero(1.0 + even * d);
    c = away_from_zero(1.0 + even / c);
    fraction *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1.0 / away_from_zero(1.0 + odd * d);
    c = away_from_zero(1.0 + odd / c);
    const double factor = d * c;
    fraction *= factor;
    if (std::abs(factor - 1.0) < 1e-15) break;
  }
  return fraction;
}

// The p-quantile of a continuous distribution by bisection on [low, high], to the last bits of a double.
template <typename Cdf>
double bisect(const Cdf& cdf, double p, double low, double high) {
  for (int i = 0; i < 200; ++i) {
    const double middle = low + (high - low) / 2;
    if (middle == low || middle == high) break;
    (cdf(middle) < p ? low : high) = middle;
  }
  return low + (high - low) / 2;
}

}  // namespace

double normal_cdf(double z) {
  return 0.5 * std::erfc(-z / std::numbers::sqrt2);
}

double normal_quantile(double p) {
  FATHOM_CHECK(p > 0.0 && p < 1.0, "p {}", p);
  if (p > 0.5) return -normal_quantile(1.0 - p);
  if (p == 0.5) return 0.0;
  return bisect(normal_cdf, p, -40.0, 0.0);
}

double incomplete_beta(double a, double b, double x) {
  FATHOM_CHECK(a > 0 && b > 0 && x >= 0 && x <= 1, "a {} b {} x {}", a, b, x);
  if (x == 0.0 || x == 1.0) return x;
  const double log_front =
      std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x);
  const double front = std::exp(log_front);
  if (x < (a + 1) / (a + b + 2)) return front * beta_continued_fraction(a, b, x) / a;
  return 1.0 - front * beta_continued_fraction(b, a, 1.0 - x) / b;
}

double student_cdf(double t, double df) {
  FATHOM_CHECK(df > 0, "df {}", df);
  const double tail = 0.5 * incomplete_beta(df / 2, 0.5, df / (df + t * t));
  return t > 0 ? 1.0 - tail : tail;
}

double student_quantile(double p, double df) {
  FATHOM_CHECK(p > 0.0 && p < 1.0, "p {}", p);
  if (p > 0.5) return -student_quantile(1.0 - p, df);
  if (p == 0.5) return 0.0;
  double low = -2.0;
  while (student_cdf(low, df) > p) low *= 2;
  return bisect([df](double t) { return student_cdf(t, df); }, p, low, 0.0);
}

double log_binomial_coefficient(int64_t n, int64_t k) {
  FATHOM_CHECK(0 <= k && k <= n, "n {} k {}", n, k);
  const auto dn = static_cast<double>(n);
  const auto dk = static_cast<double>(k);
  return std::lgamma(dn + 1) - std::lgamma(dk + 1) - std::lgamma(dn - dk + 1);
}

double binomial_pmf(int64_t k, int64_t n, double p) {
  if (k < 0 || k > n) return 0.0;
  if (p == 0.0) return k == 0 ? 1.0 : 0.0;
  if (p == 1.0) return k == n ? 1.0 : 0.0;
  return std::exp(log_binomial_coefficient(n, k) + static_cast<double>(k) * std::log(p) +
                  static_cast<double>(n - k) * std::log1p(-p));
}

double binomial_cdf(int64_t k, int64_t n, double p) {
  if (k < 0) return 0.0;
  if (k >= n) return 1.0;
  // P(X <= k) = I_{1-p}(n-k, k+1)
  return incomplete_beta(static_cast<double>(n - k), static_cast<double>(k + 1), 1.0 - p);
}

}  // namespace fathom::results
