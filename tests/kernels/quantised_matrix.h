// Random quantised matrices beside the fp32 numbers that they stand for.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/kernels/arrays.h"

namespace fathom::kernels {

constexpr Dtype kQuantisedDtypes[] = {Dtype::kF8E4M3, Dtype::kI8, Dtype::kI4};

/// What the OCP format's tables say code `bits` is worth; written apart from the kernels.
double e4m3_value(uint8_t bits);

class QuantisedMatrix {
 public:
  /// Every code that is a number, scales of about 1 / 128. Blocks of `rows` (kF8E4M3 only) by `columns`.
  QuantisedMatrix(Random& random, Dtype dtype, int64_t n, int64_t k, int64_t columns, int64_t rows = 1);

  Tensor tensor() const;
  const Array& values() const { return values_; }  // [n, k] F32
  std::vector<uint8_t>& codes() { return codes_; }
  /// Code i, of a format of whole bytes, and what it is worth.
  void set_code(int64_t i, uint8_t code, float value) {
    codes_[static_cast<size_t>(i)] = code;
    values_.floats()[i] = value;
  }
  /// Of kI8 and kI4.
  int code(int64_t row, int64_t column) const;
  float scale(int64_t row, int64_t column) const;

 private:
  Dtype dtype_;
  int64_t n_, k_;
  Scales scales_;
  std::vector<uint8_t> codes_;
  std::vector<uint8_t> scale_bytes_;
  Array values_;
};

}  // namespace fathom::kernels
