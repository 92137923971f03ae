// Stored rows of the latent cache (kernels/latent_format.h) back into fp32. Compiled once per instruction
// set; every set gives the same numbers: a code times a scale, rounded once.

// Per-target include guard (see hwy/foreach_target.h).
#if defined(FATHOM_KERNELS_CPU_LATENT_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FATHOM_KERNELS_CPU_LATENT_ROWS_INL_H_
#undef FATHOM_KERNELS_CPU_LATENT_ROWS_INL_H_
#else
#define FATHOM_KERNELS_CPU_LATENT_ROWS_INL_H_
#endif

#include <algorithm>

#include "kernels/cpu/simd-inl.h"
#include "kernels/latent_format.h"
#include "kernels/rounding.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

/// body(first number, how many, their scale) for the groups of one part of a row.
template <typename Body>
HWY_INLINE void for_groups(int64_t n, const uint8_t* scales, const Body& body) {
  for (int64_t begin = 0; begin < n; begin += kLatentGroup) {
    uint16_t stored;
    std::memcpy(&stored, scales + begin / kLatentGroup * 2, sizeof stored);
    body(begin, std::min(kLatentGroup, n - begin), hn::Set(F32(), from_bf16(stored)));
  }
}

HWY_INLINE void decode_int8(const uint8_t* codes, int64_t n, const uint8_t* scales, float* out) {
  for_groups(n, scales, [&](int64_t begin, int64_t length, VF32 scale) HWY_ATTR {
    for_vectors(length, [&](int64_t i, int64_t lanes) HWY_ATTR {
      const VF32 q = hn::ConvertTo(F32(), widen_bytes<int8_t>(codes + begin + i, lanes));
      store_n(hn::Mul(q, scale), out + begin + i, lanes);
    });
  });
}

HWY_INLINE void decode_fp8(const uint8_t* codes, int64_t n, const uint8_t* scales, float* out) {
  for_groups(n, scales, [&](int64_t begin, int64_t length, VF32 scale) HWY_ATTR {
    for_vectors(length, [&](int64_t i, int64_t lanes) HWY_ATTR {
      store_n(hn::Mul(widen_e4m3(codes + begin + i, lanes), scale), out + begin + i, lanes);
    });
  });
}

/// Sixteen of a group's numbers, those from 16 * kQuarter on.
template <int kQuarter>
HWY_INLINE void decode_six_bit_quarter(const uint8_t* codes, VF32 scale, float* out) {
  const I32 d;
  for (int64_t i = 0; i < 16; i += kLanes) {
    const auto low =
        hn::And(hn::ShiftRight<kQuarter / 2 * 4>(widen_bytes<uint8_t>(codes + kQuarter % 2 * 16 + i, kLanes)),
                hn::Set(d, 15));
    const auto high =
        hn::And(hn::ShiftRight<kQuarter * 2>(widen_bytes<uint8_t>(codes + 32 + i, kLanes)), hn::Set(d, 3));
    const auto q = hn::Sub(hn::Or(low, hn::ShiftLeft<4>(high)), hn::Set(d, 32));
    store(hn::Mul(hn::ConvertTo(F32(), q), scale), out + kQuarter * 16 + i);
  }
}

HWY_INLINE void decode_int6(const uint8_t* codes, int64_t n, const uint8_t* scales, float* out) {
  for_groups(n, scales, [&](int64_t begin, int64_t length, VF32 scale) HWY_ATTR {
    alignas(64) float short_group[kLatentGroup];
    float* const to = length == kLatentGroup ? out + begin : short_group;
    const uint8_t* const group = codes + begin / kLatentGroup * 48;
    decode_six_bit_quarter<0>(group, scale, to);
    decode_six_bit_quarter<1>(group, scale, to);
    decode_six_bit_quarter<2>(group, scale, to);
    decode_six_bit_quarter<3>(group, scale, to);
    if (to == short_group) std::copy(to, to + length, out + begin);
  });
}

/// One row into rank + rope numbers.
HWY_INLINE void decode_latent_row(const LatentLayout& layout, const std::byte* row, float* out) {
  const auto* codes = reinterpret_cast<const uint8_t*>(row);
  const uint8_t* scales = codes + layout.scales_at;
  const uint8_t* key_scales = scales + 2 * layout.n_latent_groups();
  float* keys = out + layout.rank;
  switch (layout.format) {
    case LatentFormat::kF32:
      std::memcpy(out, row, static_cast<size_t>(layout.rank + layout.rope) * sizeof(float));
      return;
    case LatentFormat::kBF16: {
      const auto* numbers = reinterpret_cast<const hwy::bfloat16_t*>(row);
      for_vectors(layout.rank + layout.rope, [&](int64_t i, int64_t lanes) HWY_ATTR {
        store_n(load_n(numbers + i, lanes), out + i, lanes);
      });
      return;
    }
    case LatentFormat::kF8:
      decode_fp8(codes, layout.rank, scales, out);
      return decode_fp8(codes + layout.keys_at, layout.rope, key_scales, keys);
    case LatentFormat::kI8:
      decode_int8(codes, layout.rank, scales, out);
      return decode_int8(codes + layout.keys_at, layout.rope, key_scales, keys);
    case LatentFormat::kI6:
      decode_int6(codes, layout.rank, scales, out);
      return decode_int8(codes + layout.keys_at, layout.rope, key_scales, keys);
  }
  FATHOM_CHECK(false, "latent format {}", static_cast<int>(layout.format));
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
