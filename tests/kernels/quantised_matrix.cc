#include "tests/kernels/quantised_matrix.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace fathom::kernels {
namespace {

int64_t blocks(int64_t n, int64_t size) {
  return (n + size - 1) / size;
}

}  // namespace

double e4m3_value(uint8_t bits) {
  const int exponent = (bits >> 3) & 15;
  const int mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7) return std::numeric_limits<double>::quiet_NaN();
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return bits & 0x80 ? -magnitude : magnitude;
}

QuantisedMatrix::QuantisedMatrix(Random& random, Dtype dtype, int64_t n, int64_t k, int64_t columns,
                                 int64_t rows)
    : dtype_(dtype),
      n_(n),
      k_(k),
      scales_{nullptr, rows, columns},
      codes_(static_cast<size_t>(n * k * dtype_bits(dtype) / 8)),
      values_(Dtype::kF32, {n, k}) {
  const int64_t row_scales = blocks(k, columns);
  std::vector<float> scales(static_cast<size_t>(blocks(n, rows) * row_scales));
  scale_bytes_.resize(scales.size() * (dtype == Dtype::kF8E4M3 ? 4 : 2));
  for (size_t i = 0; i < scales.size(); ++i) {
    scales[i] = static_cast<float>(random.uniform(0.5, 2.0) / 128);
    uint32_t bits;
    std::memcpy(&bits, &scales[i], 4);
    if (dtype == Dtype::kF8E4M3) {
      std::memcpy(scale_bytes_.data() + 4 * i, &bits, 4);
      continue;
    }
    bits &= 0xFFFF0000;  // a bf16 number
    std::memcpy(&scales[i], &bits, 4);
    const auto half = static_cast<uint16_t>(bits >> 16);
    std::memcpy(scale_bytes_.data() + 2 * i, &half, 2);
  }
  for (int64_t i = 0; i < n * k; ++i) {
    const auto at = static_cast<size_t>(i);
    const float scale = scales[static_cast<size_t>(i / k / rows * row_scales + i % k / columns)];
    double q;
    if (dtype == Dtype::kI4) {
      const auto code = static_cast<uint8_t>(random.integer(0, 15));
      codes_[at / 2] = static_cast<uint8_t>(codes_[at / 2] | (i % 2 == 0 ? code : code << 4));
      q = code - 8;
    } else {
      do {
        codes_[at] = static_cast<uint8_t>(random.integer(0, 255));
        q = dtype == Dtype::kI8 ? static_cast<int8_t>(codes_[at]) : e4m3_value(codes_[at]);
      } while (std::isnan(q));
    }
    values_.floats()[i] = static_cast<float>(q) * scale;
  }
}

int QuantisedMatrix::code(int64_t row, int64_t column) const {
  const auto i = static_cast<size_t>(row * k_ + column);
  if (dtype_ == Dtype::kI4) return (codes_[i / 2] >> (i % 2 * 4) & 15) - 8;
  return static_cast<int8_t>(codes_[i]);
}

float QuantisedMatrix::scale(int64_t row, int64_t column) const {
  const int64_t i = row * blocks(k_, scales_.columns) + column / scales_.columns;
  uint16_t half;
  std::memcpy(&half, scale_bytes_.data() + 2 * i, 2);
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float scale;
  std::memcpy(&scale, &bits, 4);
  return scale;
}

Tensor QuantisedMatrix::tensor() const {
  Tensor tensor(codes_.data(), dtype_, {n_, k_});
  tensor.scales = scales_;
  tensor.scales.data = const_cast<uint8_t*>(scale_bytes_.data());
  return tensor;
}

}  // namespace fathom::kernels
