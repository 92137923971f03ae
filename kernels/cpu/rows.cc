// Row operations: gather, convert, RMSNorm, add, SiLU.
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/rows.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rms-inl.h"
#include "kernels/rounding.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

template <typename T>
void widen_row(const T* from, float* to, int64_t n) {
  for_vectors(n, [&](int64_t i, int64_t lanes) { store_n(load_n(from + i, lanes), to + i, lanes); });
}

void GatherRowsTwin(const Stream& stream, const GatherRows& args) {
  const int64_t n = args.out.shape[1];
  const int64_t n_table = args.table.shape[0];
  const auto* rows = static_cast<const int32_t*>(args.rows.data);
  auto* out = static_cast<float*>(args.out.data);
  with_weight_type(args.table, [&](const auto* table) {
    for_ranges(stream, args.out.shape[0], row_grain(n), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        FATHOM_CHECK(rows[t] >= 0 && rows[t] < n_table, "row {} of {}", rows[t], n_table);
        widen_row(table + rows[t] * n, out + t * n, n);
      }
    });
  });
}

void ConvertTwin(const Stream& stream, const Convert& args) {
  with_weight_type(args.from, [&](const auto* from) {
    for_ranges(stream, args.from.elements(), 1 << 16, [&](int64_t begin, int64_t end) {
      if (args.to.dtype == Dtype::kF32) {
        return widen_row(from + begin, static_cast<float*>(args.to.data) + begin, end - begin);
      }
      auto* to = static_cast<uint16_t*>(args.to.data);
      for_vectors(end - begin, [&](int64_t i, int64_t lanes) {
        alignas(64) float wide[kLanes];
        hn::Store(load_n(from + begin + i, lanes), F32(), wide);
        for (int64_t l = 0; l < lanes; ++l) to[begin + i + l] = to_bf16(wide[l]);
      });
    });
  });
}

void add_row(float* x, const float* delta, int64_t n) {
  for_vectors(n, [&](int64_t i, int64_t lanes) {
    store_n(hn::Add(load_n(x + i, lanes), load_n(delta + i, lanes)), x + i, lanes);
  });
}

void RmsNormTwin(const Stream& stream, const RmsNorm& args) {
  const int64_t n = args.x.shape[1];
  auto* x = static_cast<float*>(args.x.data);
  const auto* delta = static_cast<const float*>(args.add.data);
  auto* out = static_cast<float*>(args.out.data);
  with_weight_type(args.weight, [&](const auto* weight) {
    for_ranges(stream, args.x.shape[0], row_grain(n), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        if (delta != nullptr) add_row(x + t * n, delta + t * n, n);
        rms_norm_row(x + t * n, weight, args.eps, out + t * n, n);
      }
    });
  });
}

void AddTwin(const Stream& stream, const Add& args) {
  auto* x = static_cast<float*>(args.x.data);
  const auto* delta = static_cast<const float*>(args.delta.data);
  for_ranges(stream, args.x.elements(), 1 << 14,
             [&](int64_t begin, int64_t end) { add_row(x + begin, delta + begin, end - begin); });
}

void SiluMulTwin(const Stream& stream, const SiluMul& args) {
  auto* gate = static_cast<float*>(args.gate.data);
  const auto* up = static_cast<const float*>(args.up.data);
  for_ranges(stream, args.gate.elements(), 1 << 13, [&](int64_t begin, int64_t end) {
    for_vectors(end - begin, [&](int64_t i, int64_t lanes) {
      float* p = gate + begin + i;
      store_n(silu_mul(load_n(p, lanes), load_n(up + begin + i, lanes)), p, lanes);
    });
  });
}

void MarkNonFiniteTwin(const Stream& stream, const MarkNonFinite& args) {
  const auto* x = static_cast<const float*>(args.x.data);
  std::atomic<int32_t> found{0};
  for_ranges(stream, args.x.elements(), 1 << 16, [&](int64_t begin, int64_t end) {
    // x - x is 0 for numbers and NaN for NaN and infinities.
    VF32 sum = hn::Zero(F32());
    for_vectors(end - begin, [&](int64_t i, int64_t lanes) {
      const VF32 v = load_n(x + begin + i, lanes);
      sum = hn::Add(sum, hn::Sub(v, v));
    });
    if (sum_lanes(sum) != 0.0f) found.store(1, std::memory_order_relaxed);
  });
  if (found.load() != 0) static_cast<int32_t*>(args.flags.data)[args.index] = 1;
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels::cpu {

HWY_EXPORT(GatherRowsTwin);
HWY_EXPORT(ConvertTwin);
HWY_EXPORT(RmsNormTwin);
HWY_EXPORT(AddTwin);
HWY_EXPORT(SiluMulTwin);
HWY_EXPORT(MarkNonFiniteTwin);

void gather_rows(const Stream& stream, const GatherRows& args) {
  HWY_DYNAMIC_DISPATCH(GatherRowsTwin)(stream, args);
}
void convert(const Stream& stream, const Convert& args) {
  HWY_DYNAMIC_DISPATCH(ConvertTwin)(stream, args);
}
void rms_norm(const Stream& stream, const RmsNorm& args) {
  HWY_DYNAMIC_DISPATCH(RmsNormTwin)(stream, args);
}
void add(const Stream& stream, const Add& args) {
  HWY_DYNAMIC_DISPATCH(AddTwin)(stream, args);
}
void silu_mul(const Stream& stream, const SiluMul& args) {
  HWY_DYNAMIC_DISPATCH(SiluMulTwin)(stream, args);
}
void mark_non_finite(const Stream& stream, const MarkNonFinite& args) {
  HWY_DYNAMIC_DISPATCH(MarkNonFiniteTwin)(stream, args);
}

}  // namespace fathom::kernels::cpu
#endif  // HWY_ONCE
