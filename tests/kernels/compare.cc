#include "tests/kernels/compare.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

namespace fathom::kernels {
namespace {

// NaN, +inf, -inf or a number.
int kind(double x) {
  return std::isnan(x) ? 1 : std::isinf(x) ? (x > 0 ? 2 : 3) : 0;
}

}  // namespace

std::string differences(std::span<const float> actual, std::span<const double> expected,
                        const Tolerance& tolerance) {
  if (actual.size() != expected.size())
    return fmt::format("{} elements, expected {}", actual.size(), expected.size());
  double dot = 0.0, actual_norm = 0.0, expected_norm = 0.0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double a = actual[i];
    const double e = expected[i];
    if (kind(a) != kind(e)) return fmt::format("element {} is {}, expected {}", i, a, e);
    if (kind(a) != 0) continue;
    const double error = std::abs(a - e);
    if (error > tolerance.absolute && error > tolerance.relative * std::abs(e)) {
      return fmt::format("element {} is {}, expected {}: {} off", i, a, e, error);
    }
    dot += a * e;
    actual_norm += a * a;
    expected_norm += e * e;
  }
  if (actual_norm == 0.0 || expected_norm == 0.0) return {};
  const double cosine = dot / std::sqrt(actual_norm * expected_norm);
  if (1.0 - cosine > tolerance.cosine) return fmt::format("cosine is 1 - {}", 1.0 - cosine);
  return {};
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return false;
  return a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace fathom::kernels
