#include "kernels/cpu/check_multiply.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/div_up.h"
#include "base/error.h"
#include "kernels/rounding.h"

namespace fathom::kernels::cpu {
namespace {

// Odd on purpose, as kCheckRows: tiles of every size, a partial vector, a partial group.
constexpr int64_t kInputs = 200;
constexpr int64_t kOutputs = 70;
constexpr int64_t kGroup = 64;

/// Numbers of [-1, 1) that depend on i alone.
float number(int64_t i) {
  auto z = static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  return static_cast<float>(static_cast<int64_t>(z >> 40) - (1 << 23)) * 0x1p-23f;
}

float rounded_to_bf16(float x) {
  return from_bf16(to_bf16(x));
}

/// A matrix of a format, and what it stands for.
struct Example {
  explicit Example(Dtype dtype)
      : bytes(static_cast<size_t>(kOutputs * kInputs * 4)), values(static_cast<size_t>(kOutputs * kInputs)) {
    const int64_t groups = div_up(kInputs, kGroup);
    scales.resize(static_cast<size_t>(kOutputs * groups * 4));
    tensor = Tensor(bytes.data(), dtype, {kOutputs, kInputs});
    if (is_quantised(dtype)) tensor.scales = {scales.data(), 1, kGroup};
    for (int64_t i = 0; i < kOutputs * kInputs; ++i) {
      values[static_cast<size_t>(i)] = put(dtype, i, number(i), i / kInputs * groups + i % kInputs / kGroup);
    }
  }

  std::vector<uint8_t> bytes, scales;
  std::vector<float> values;
  Tensor tensor;

 private:
  float put(Dtype dtype, int64_t i, float v, int64_t scale_at) {
    const float scale = rounded_to_bf16((2 + number(scale_at)) / 256);
    const auto scale_bits = std::bit_cast<uint32_t>(scale);
    if (dtype == Dtype::kF8E4M3) std::memcpy(scales.data() + 4 * scale_at, &scale_bits, 4);
    if (dtype == Dtype::kI8 || dtype == Dtype::kI4) {
      const auto half = static_cast<uint16_t>(scale_bits >> 16);
      std::memcpy(scales.data() + 2 * scale_at, &half, 2);
    }
    switch (dtype) {
      case Dtype::kBF16: {
        v = rounded_to_bf16(v);
        const auto half = static_cast<uint16_t>(std::bit_cast<uint32_t>(v) >> 16);
        std::memcpy(bytes.data() + 2 * i, &half, 2);
        return v;
      }
      case Dtype::kF16: {
        const auto half = static_cast<_Float16>(v);
        std::memcpy(bytes.data() + 2 * i, &half, 2);
        return static_cast<float>(half);
      }
      case Dtype::kI8: {
        const auto q = static_cast<int8_t>(std::lround(v * 127));
        bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(q);
        return static_cast<float>(q) * scale;
      }
      case Dtype::kI4: {
        const auto q = static_cast<int>(std::lround(v * 7));
        bytes[static_cast<size_t>(i / 2)] |= static_cast<uint8_t>((q + 8) << (i % 2 * 4));
        return static_cast<float>(q) * scale;
      }
      case Dtype::kF8E4M3: {
        // Codes 0 .. 0x7E with a sign: 2^(e - 7) (1 + m / 8), subnormals m / 512.
        const int code = static_cast<int>(std::fabs(v) * 126);
        const float magnitude = code < 8 ? static_cast<float>(code) / 512
                                         : std::ldexp(1 + static_cast<float>(code % 8) / 8, code / 8 - 7);
        bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(code | (v < 0 ? 0x80 : 0));
        return (v < 0 ? -magnitude : magnitude) * scale;
      }
      default:
        std::memcpy(bytes.data() + 4 * i, &v, 4);
        return v;
    }
  }
};

/// The row as the arithmetic sees it: [K].
std::vector<double> seen_row(Compute compute, const float* x) {
  std::vector<double> row(x, x + kInputs);
  for (int64_t begin = 0; begin < kInputs && compute != Compute::kF32; begin += kGroup) {
    const int64_t end = std::min(kInputs, begin + kGroup);
    float max = 0;
    for (int64_t k = begin; k < end; ++k) max = std::max(max, std::fabs(x[k]));
    for (int64_t k = begin; k < end; ++k) {
      row[static_cast<size_t>(k)] = compute == Compute::kBF16
                                        ? rounded_to_bf16(x[k])
                                        : std::nearbyint(x[k] * (127.0f / max)) * (max / 127.0f);
    }
  }
  return row;
}

}  // namespace

std::string check_multiply(std::string_view name, Compute compute, Dtype dtype, const Multiply& multiply) {
  const Example w(dtype);
  std::vector<float> x(static_cast<size_t>(kCheckRows * kInputs));
  // The first numbers of a row of one dtype, scaled so that groups differ.
  for (int64_t i = 0; i < kCheckRows * kInputs; ++i)
    x[static_cast<size_t>(i)] = number(i + 77) * static_cast<float>(1 + i % kInputs / 32);
  for (const int64_t n_rows : {int64_t{1}, int64_t{2}, int64_t{5}, kCheckRows}) {
    std::vector<float> y(static_cast<size_t>(n_rows * kOutputs), std::numeric_limits<float>::quiet_NaN());
    multiply(x.data(), n_rows, w.tensor, y.data());
    for (int64_t r = 0; r < n_rows; ++r) {
      const std::vector<double> row = seen_row(compute, x.data() + r * kInputs);
      for (int64_t n = 0; n < kOutputs; ++n) {
        double sum = 0, size = 0;
        for (int64_t k = 0; k < kInputs; ++k) {
          const float value = w.values[static_cast<size_t>(n * kInputs + k)];
          const double term =
              row[static_cast<size_t>(k)] * (compute == Compute::kBF16 ? rounded_to_bf16(value) : value);
          sum += term;
          size += std::fabs(term);
        }
        // fp32 sums of some hundred terms; what this compares is whether the right numbers were added.
        const float found = y[static_cast<size_t>(r * kOutputs + n)];
        if (std::fabs(found - sum) <= 1e-5 * size) continue;
        return fmt::format("{} products gave {} for {} ({} weights, row {} of {}, column {})", name, found,
                           sum, dtype_name(dtype), r, n_rows, n);
      }
    }
  }
  return "";
}

}  // namespace fathom::kernels::cpu
