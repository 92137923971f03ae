// Small products against a scalar twin, for any implementation: part of the check at the start, on the CPU
// and on a device.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "kernels/kernels.h"

namespace fathom::kernels::cpu {

/// No check has more rows.
inline constexpr int64_t kCheckRows = 15;

/// y [n_rows, N] = x [n_rows, K] times a matrix [N, K]; K is a multiple of 8.
using Multiply = std::function<void(const float* x, int64_t n_rows, const Tensor& weight, float* y)>;

/// Multiplies a small matrix of `dtype` with few and many rows and compares each element with a scalar twin.
/// Empty, or what is wrong, beginning with `name`.
std::string check_multiply(std::string_view name, Compute compute, Dtype dtype, const Multiply& multiply);

}  // namespace fathom::kernels::cpu
