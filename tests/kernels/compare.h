// The one comparator of kernel results: the same NaNs and infinities in the same places, every other element
// within an absolute or a relative tolerance, and the whole in the same direction.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace fathom::kernels {

struct Tolerance {
  double absolute = 1e-6;
  double relative = 1e-5;
  double cosine = 1e-9;  ///< 1 - cosine of the two arrays, finite elements only
};

/// Empty when `actual` agrees with `expected`, else what differs first and how much. An element passes when
/// either tolerance holds.
std::string differences(std::span<const float> actual, std::span<const double> expected,
                        const Tolerance& tolerance);

/// Whether two arrays hold the same bits; -0 differs from 0, a NaN equals the same NaN.
bool same_bits(std::span<const float> a, std::span<const float> b);

}  // namespace fathom::kernels
