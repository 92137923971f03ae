// log sum e^x of a row of logits, and its largest element. Compiled once per instruction set.

// Per-target include guard (see hwy/foreach_target.h).
#if defined(FATHOM_KERNELS_CPU_LOGSUMEXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FATHOM_KERNELS_CPU_LOGSUMEXP_INL_H_
#undef FATHOM_KERNELS_CPU_LOGSUMEXP_INL_H_
#else
#define FATHOM_KERNELS_CPU_LOGSUMEXP_INL_H_
#endif

#include <cmath>

#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

struct LogSumExp {
  double value = 0.0;
  float max = 0.0f;
  int32_t argmax = 0;  // the lowest id among equals
};

/// The lowest index of the largest element, and that element.
inline void find_max(const float* x, int64_t n, LogSumExp& out) {
  const F32 d;
  VF32 max = hn::Set(d, x[0]);
  for_vectors(n, [&](int64_t i, int64_t lanes) HWY_ATTR {
    // A partial vector is padded with zeros, which must not win: scalar there.
    if (lanes == kLanes) {
      max = hn::Max(max, load(x + i));
    } else {
      for (int64_t l = 0; l < lanes; ++l) max = hn::Max(max, hn::Set(d, x[i + l]));
    }
  });
  out.max = hn::GetLane(hn::MaxOfLanes(d, max));
  for (int64_t i = 0; i < n; ++i) {
    if (x[i] == out.max) {
      out.argmax = static_cast<int32_t>(i);
      return;
    }
  }
}

/// log sum_v e^(x_v / temperature): exponentials of fp32 differences to the maximum, added in double in a
/// fixed order of lanes. NaN for a row with a NaN.
inline LogSumExp log_sum_exp(const float* x, int64_t n, float temperature) {
  const F32 d;
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> narrow;
  constexpr int64_t kDoubleLanes = HWY_LANES(double);
  constexpr int64_t kParts = kLanes / kDoubleLanes;
  LogSumExp out;
  find_max(x, n, out);
  const VF32 max = hn::Set(d, out.max);
  const VF32 t = hn::Set(d, temperature);
  hn::Vec<decltype(dd)> sums[kParts];
  for (auto& sum : sums) sum = hn::Zero(dd);
  for_vectors(n, [&](int64_t i, int64_t lanes) HWY_ATTR {
    VF32 p = exp(hn::Div(hn::Sub(load_n(x + i, lanes), max), t));
    if (lanes < kLanes) p = hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(lanes)), p);
    alignas(64) float terms[kLanes];
    hn::Store(p, d, terms);
    for (int64_t j = 0; j < kParts; ++j) {
      sums[j] = hn::Add(sums[j], hn::PromoteTo(dd, hn::Load(narrow, terms + j * kDoubleLanes)));
    }
  });
  for (int64_t j = 1; j < kParts; ++j) sums[0] = hn::Add(sums[0], sums[j]);
  const double sum = hn::GetLane(hn::SumOfLanes(dd, sums[0]));
  out.value = static_cast<double>(out.max) / temperature + std::log(sum);
  return out;
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
