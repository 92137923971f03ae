// Loads of fp32, bf16, fp16, e4m3 and bytes into vectors, partial vectors, and e^x. Compiled once per
// instruction set.
//
// Whether an element lies in a full or in a partial vector never changes its value.

// Per-target include guard (see hwy/foreach_target.h).
#if defined(FATHOM_KERNELS_CPU_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FATHOM_KERNELS_CPU_SIMD_INL_H_
#undef FATHOM_KERNELS_CPU_SIMD_INL_H_
#else
#define FATHOM_KERNELS_CPU_SIMD_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

#include <utility>

#include "base/error.h"
#include "kernels/tensor.h"

#define FATHOM_INLINE_LAMBDA HWY_ATTR __attribute__((always_inline))

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using VF32 = hn::Vec<F32>;
using I32 = hn::RebindToSigned<F32>;
using U32 = hn::RebindToUnsigned<F32>;
/// fp32 lanes of a vector: 1, 4, 8 or 16. A constant: scalable instruction sets are disabled.
constexpr int64_t kLanes = HWY_LANES(float);

HWY_INLINE VF32 load(const float* p) {
  return hn::LoadU(F32(), p);
}
HWY_INLINE VF32 load(const hwy::bfloat16_t* p) {
  return hn::PromoteTo(F32(), hn::LoadU(hn::Rebind<hwy::bfloat16_t, F32>(), p));
}
HWY_INLINE VF32 load(const hwy::float16_t* p) {
  return hn::PromoteTo(F32(), hn::LoadU(hn::Rebind<hwy::float16_t, F32>(), p));
}

/// The first n < kLanes elements, zeros behind; reads nothing beyond them.
template <typename T>
HWY_INLINE VF32 load_partial(const T* p, int64_t n) {
  alignas(64) T padded[kLanes] = {};
  std::memcpy(padded, p, static_cast<size_t>(n) * sizeof(T));
  return load(padded);
}

HWY_INLINE void store(VF32 v, float* p) {
  hn::StoreU(v, F32(), p);
}
HWY_INLINE void store_partial(VF32 v, float* p, int64_t n) {
  alignas(64) float padded[kLanes];
  hn::Store(v, F32(), padded);
  std::memcpy(p, padded, static_cast<size_t>(n) * sizeof(float));
}

/// The same vector, in a register: GCC would rather load it again for each use, and a core that loads one
/// 512-bit vector a cycle has no time for that.
HWY_INLINE VF32 in_register(VF32 v) {
#if HWY_TARGET == HWY_AVX3
  asm("" : "+v"(v.raw));
#endif
  return v;
}

/// The lanes added by the instruction set's fixed tree.
HWY_INLINE float sum_lanes(VF32 v) {
  return hn::GetLane(hn::SumOfLanes(F32(), v));
}

/// body(0), body(1), ... body(N - 1), each with a constant that may index an array of vectors: GCC 12 keeps
/// arrays that a loop indexes in memory, pragmas or not. Bodies are FATHOM_INLINE_LAMBDA.
template <int N, typename Body>
HWY_INLINE void unrolled(const Body& body) {
  [&]<int... I>(std::integer_sequence<int, I...>) FATHOM_INLINE_LAMBDA {
    (body(std::integral_constant<int, I>()), ...);
  }(std::make_integer_sequence<int, N>());
}

/// body(i, full) for full vectors at i = 0, kLanes, ..., then once body(i, rest) when n is no multiple:
/// step(i, load, store) sees the same code for both.
template <typename Step>
HWY_INLINE void for_vectors(int64_t n, const Step& step) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) step(i, kLanes);
  if (i < n) step(i, n - i);
}

template <typename T>
HWY_INLINE VF32 load_n(const T* p, int64_t n) {
  return n == kLanes ? load(p) : load_partial(p, n);
}
HWY_INLINE void store_n(VF32 v, float* p, int64_t n) {
  if (n == kLanes) {
    store(v, p);
  } else {
    store_partial(v, p, n);
  }
}

/// The first n <= kLanes bytes from p, zeros behind; reads nothing beyond them.
template <typename Byte>
HWY_INLINE hn::Vec<hn::Rebind<Byte, F32>> load_bytes_n(const uint8_t* p, int64_t n) {
  const hn::Rebind<Byte, F32> d;
  if (n == kLanes) return hn::LoadU(d, reinterpret_cast<const Byte*>(p));
  alignas(64) Byte padded[kLanes] = {};
  std::memcpy(padded, p, static_cast<size_t>(n));
  return hn::Load(d, padded);
}
template <typename Byte>
HWY_INLINE hn::Vec<I32> widen_bytes(const uint8_t* p, int64_t n) {
  return hn::PromoteTo(I32(), load_bytes_n<Byte>(p, n));
}

/// n <= kLanes numbers of e4m3 from p, zeros behind. s eeee mmm goes to where fp32 has its sign, the end of
/// its exponent and the front of its mantissa: 2^-120 of the number, subnormals too. All ones are NaN.
HWY_INLINE VF32 widen_e4m3(const uint8_t* p, int64_t n) {
  const auto bits =
      hn::And(hn::ShiftLeft<20>(hn::BitCast(U32(), widen_bytes<int8_t>(p, n))), hn::Set(U32(), 0x87F00000));
  const auto nan =
      hn::VecFromMask(U32(), hn::Eq(hn::And(bits, hn::Set(U32(), 0x07F00000)), hn::Set(U32(), 0x07F00000)));
  return hn::Or(hn::Mul(hn::BitCast(F32(), bits), hn::Set(F32(), 0x1p120f)), hn::BitCast(F32(), nan));
}

/// e^x within 2 units in the last place; exactly 0 below -105, +inf above 89, NaN for NaN.
/// x = n ln 2 + r, |r| <= ln 2 / 2; e^r by a polynomial of degree 7 (minimax coefficients of the Cephes
/// library); 2^n in two factors, so that results in the subnormal range round once more but never wrap
/// around.
HWY_INLINE VF32 exp(VF32 x) {
  const F32 d;
  const hn::RebindToSigned<F32> di;
  const VF32 clamped = hn::Min(hn::Max(x, hn::Set(d, -105.0f)), hn::Set(d, 89.0f));
  const auto n = hn::NearestInt(hn::Mul(clamped, hn::Set(d, 1.44269504088896341f)));
  const VF32 nf = hn::ConvertTo(d, n);
  VF32 r = hn::NegMulAdd(nf, hn::Set(d, 0.693359375f), clamped);
  r = hn::NegMulAdd(nf, hn::Set(d, -2.12194440e-4f), r);
  VF32 p = hn::Set(d, 1.9875691500e-4f);
  p = hn::MulAdd(p, r, hn::Set(d, 1.3981999507e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1f));
  p = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), hn::Set(d, 1.0f));
  const auto half = hn::ShiftRight<1>(n);
  const auto bias = hn::Set(di, 127);
  const VF32 scale_a = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const VF32 scale_b = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(n, half), bias)));
  const VF32 result = hn::Mul(hn::Mul(p, scale_a), scale_b);
  return hn::IfThenElse(hn::IsNaN(x), x, result);
}

HWY_INLINE float exp(float x) {
  return hn::GetLane(exp(hn::Set(F32(), x)));
}

/// silu(z) * up = z / (1 + e^-z) * up.
HWY_INLINE VF32 silu_mul(VF32 z, VF32 up) {
  const VF32 one = hn::Set(F32(), 1.0f);
  return hn::Mul(hn::Div(z, hn::Add(one, exp(hn::Neg(z)))), up);
}

/// body(pointer to the weight's own element type).
template <typename Body>
HWY_INLINE void with_weight_type(const Tensor& weight, const Body& body) {
  switch (weight.dtype) {
    case Dtype::kF32:
      return body(static_cast<const float*>(weight.data));
    case Dtype::kBF16:
      return body(static_cast<const hwy::bfloat16_t*>(weight.data));
    case Dtype::kF16:
      return body(static_cast<const hwy::float16_t*>(weight.data));
    default:
      FATHOM_CHECK(false, "{}", weight.describe());
  }
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
