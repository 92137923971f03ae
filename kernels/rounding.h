// fp32 rounded to narrower formats, to nearest even. Plain host code, the same on every instruction set.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace fathom::kernels {

/// A NaN stays a NaN.
inline uint16_t to_bf16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if (std::isnan(x)) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

inline float from_bf16(uint16_t x) {
  return std::bit_cast<float>(static_cast<uint32_t>(x) << 16);
}

/// To an integer, |x| < 2^22: adding 1.5 * 2^23 leaves no bits for a fraction.
inline int32_t to_nearest(float x) {
  constexpr float kShift = 12582912.0f;
  return static_cast<int32_t>((x + kShift) - kShift);
}

/// e4m3 of a finite x, saturating at 448.
inline uint8_t to_e4m3(float x) {
  const auto sign = static_cast<uint8_t>(std::signbit(x) ? 0x80 : 0);
  const float magnitude = std::fabs(x);
  if (magnitude >= 448.0f) return sign | 0x7E;
  // Below 2^-6 the steps are 2^-9; the code of 2^-6 itself, 8, is where the subnormal codes end.
  if (magnitude < 0x1p-6f) return static_cast<uint8_t>(sign | to_nearest(magnitude * 0x1p9f));
  const auto bits = std::bit_cast<uint32_t>(magnitude);
  const uint32_t rounded =
      bits + 0x7FFFF + ((bits >> 20) & 1);  // 20 of 23 bits go; a carry moves the exponent
  return static_cast<uint8_t>(sign | ((rounded >> 20) - (120 << 3)));
}

}  // namespace fathom::kernels
