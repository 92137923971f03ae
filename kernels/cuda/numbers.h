// Number formats and e^x for kernels: the same bits on the device and on the host.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/cuda/simt.h"
#include "kernels/tensor.h"

namespace fathom::kernels::cuda {

struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

FATHOM_HD inline float float_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
FATHOM_HD inline uint32_t bits_of_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

FATHOM_HD inline float widen(float x) {
  return x;
}
FATHOM_HD inline float widen(Bf16 x) {
  return float_of_bits(static_cast<uint32_t>(x.bits) << 16);
}
/// Exponent and fraction moved into fp32's fields are the value times 2^-112, subnormals included; the
/// product puts that right, exactly. Infinities and NaNs get fp32's exponent.
FATHOM_HD inline float widen(F16 x) {
  const uint32_t magnitude = static_cast<uint32_t>(x.bits & 0x7FFF) << 13;
  uint32_t bits = bits_of_float(float_of_bits(magnitude) * 0x1.0p112f);
  if ((x.bits & 0x7C00) == 0x7C00) bits = magnitude | 0x7F800000u;
  return float_of_bits(bits | (static_cast<uint32_t>(x.bits & 0x8000) << 16));
}

/// Element i of an array of F32, BF16 or F16.
FATHOM_HD inline float load_as(const void* data, Dtype dtype, int64_t i) {
  if (dtype == Dtype::kF32) return static_cast<const float*>(data)[i];
  if (dtype == Dtype::kBF16) return widen(static_cast<const Bf16*>(data)[i]);
  return widen(static_cast<const F16*>(data)[i]);
}

/// Round to nearest even; a NaN stays a NaN.
FATHOM_HD inline uint16_t to_bf16(float x) {
  const uint32_t bits = bits_of_float(x);
  if (x != x) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

/// Two of them in a register, the first in the lower half.
FATHOM_HD inline uint32_t to_bf16_pair(float low, float high) {
#ifdef __CUDA_ARCH__
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  return to_bf16(low) | static_cast<uint32_t>(to_bf16(high)) << 16;
#endif
}

FATHOM_HD inline bool is_finite(float x) {
  return (bits_of_float(x) & 0x7F800000u) != 0x7F800000u;
}

/// e^x as kernels/cpu/simd-inl.h computes it, step by step: within 2 units in the last place, exactly 0 below
/// -105, +inf above 89, NaN for NaN.
FATHOM_HD inline float exp_of(float x) {
  if (x != x) return x;
  const float clamped = fminf(fmaxf(x, -105.0f), 89.0f);
  const float nf = rintf(clamped * 1.44269504088896341f);
  const auto n = static_cast<int32_t>(nf);
  float r = fmaf(-nf, 0.693359375f, clamped);
  r = fmaf(-nf, -2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  p = fmaf(p, r, 1.3981999507e-3f);
  p = fmaf(p, r, 8.3334519073e-3f);
  p = fmaf(p, r, 4.1665795894e-2f);
  p = fmaf(p, r, 1.6666665459e-1f);
  p = fmaf(p, r, 5.0000001201e-1f);
  p = fmaf(p, r * r, r) + 1.0f;
  // 2^n in two factors, so that results in the subnormal range round once more but never wrap around.
  const int32_t half = n >> 1;
  const float scale_a = float_of_bits(static_cast<uint32_t>(half + 127) << 23);
  const float scale_b = float_of_bits(static_cast<uint32_t>(n - half + 127) << 23);
  return p * scale_a * scale_b;
}

/// silu(z) * up.
FATHOM_HD inline float silu_times(float z, float up) {
  return z / (1.0f + exp_of(-z)) * up;
}

}  // namespace fathom::kernels::cuda
