// RMSNorm of one row, shared by rms_norm and write_latents. Compiled once per instruction set.

// Per-target include guard (see hwy/foreach_target.h).
#if defined(FATHOM_KERNELS_CPU_RMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FATHOM_KERNELS_CPU_RMS_INL_H_
#undef FATHOM_KERNELS_CPU_RMS_INL_H_
#else
#define FATHOM_KERNELS_CPU_RMS_INL_H_
#endif

#include <cmath>

#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

/// out = weight * (x / sqrt(mean(x^2) + eps)). The squares are added in lanes by fma, then sum_lanes.
template <typename W>
HWY_INLINE void rms_norm_row(const float* x, const W* weight, float eps, float* out, int64_t n) {
  VF32 squares = hn::Zero(F32());
  for_vectors(n, [&](int64_t i, int64_t lanes) HWY_ATTR {
    const VF32 v = load_n(x + i, lanes);
    squares = hn::MulAdd(v, v, squares);
  });
  const float mean = sum_lanes(squares) / static_cast<float>(n);
  const VF32 scale = hn::Set(F32(), 1.0f / std::sqrt(mean + eps));
  for_vectors(n, [&](int64_t i, int64_t lanes) HWY_ATTR {
    store_n(hn::Mul(load_n(weight + i, lanes), hn::Mul(load_n(x + i, lanes), scale)), out + i, lanes);
  });
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
