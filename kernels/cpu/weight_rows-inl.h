// Rows of a weight matrix, read as fp32 vectors: one reader for each format. Compiled once per instruction
// set.
//
// A reader has `columns`, the length of a piece of a row that shares its scales (k for plain numbers), and
// cursor(row, begin), which reads that row's piece from `begin` on: load(i, lanes) is elements i .. i + lanes
// as vector lanes, zeros behind. A quantised number is q * scale, rounded to fp32 once, so that a product
// over it has the bits of the product over the same matrix stored in fp32.

// Per-target include guard (see hwy/foreach_target.h).
#if defined(FATHOM_KERNELS_CPU_WEIGHT_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FATHOM_KERNELS_CPU_WEIGHT_ROWS_INL_H_
#undef FATHOM_KERNELS_CPU_WEIGHT_ROWS_INL_H_
#else
#define FATHOM_KERNELS_CPU_WEIGHT_ROWS_INL_H_
#endif

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

/// F32, BF16 or F16.
template <typename W>
struct PlainRows {
  static constexpr bool kPlain = true;
  struct Cursor {
    const W* row;
    HWY_INLINE VF32 load(int64_t i, int64_t lanes) const { return load_n(row + i, lanes); }
  };
  HWY_INLINE Cursor cursor(int64_t row, int64_t) const { return {data + row * stride}; }

  const W* data;
  int64_t stride;
  int64_t columns;
};

/// bf16 scales of a row of groups, each for all lanes.
HWY_INLINE VF32 broadcast_scale(const void* scales, int64_t i) {
  const uint16_t bits = static_cast<const uint16_t*>(scales)[i];
  return hn::BitCast(F32(), hn::Set(U32(), static_cast<uint32_t>(bits) << 16));
}

struct Int8Rows {
  static constexpr bool kPlain = false;
  struct Cursor {
    const uint8_t* row;
    VF32 scale;
    HWY_INLINE VF32 load(int64_t i, int64_t lanes) const {
      return hn::Mul(hn::ConvertTo(F32(), widen_bytes<int8_t>(row + i, lanes)), scale);
    }
  };
  explicit Int8Rows(const Tensor& w)
      : data(static_cast<const uint8_t*>(w.data)),
        scales(w.scales.data),
        stride(w.shape[1]),
        columns(w.scales.columns),
        n_groups(div_up(stride, columns)) {}
  HWY_INLINE Cursor cursor(int64_t row, int64_t begin) const {
    return {data + row * stride, broadcast_scale(scales, row * n_groups + begin / columns)};
  }

  const uint8_t* data;
  const void* scales;
  int64_t stride;
  int64_t columns;
  int64_t n_groups;
};

/// Numbers i .. i + lanes of a row: in each lane the word of up to eight nibbles that holds its number, in
/// lane l at bits 4 (l % 8) .. 4 (l % 8) + 3.
HWY_INLINE hn::Vec<U32> nibble_words(const uint8_t* row, int64_t i, int64_t lanes) {
  const uint8_t* from = row + i / 2;
  const auto word = [](const uint8_t* at, int64_t n_nibbles) HWY_ATTR {
    uint32_t bits = 0;
    std::memcpy(&bits, at, static_cast<size_t>((n_nibbles + 1) / 2));
    return bits;
  };
#if HWY_MAX_BYTES == 64
  const hn::Half<U32> half;
  const uint32_t high = lanes <= 8 ? 0 : word(from + 4, lanes - 8);
  return hn::Combine(U32(), hn::Set(half, high), hn::Set(half, word(from, lanes < 8 ? lanes : 8)));
#else
  // A vector of one lane may begin with the second nibble of a byte.
  return hn::Set(U32(), word(from, lanes) >> (i % 2 * 4));
#endif
}

struct Int4Rows {
  static constexpr bool kPlain = false;
  struct Cursor {
    const uint8_t* row;
    VF32 scale;
    HWY_INLINE VF32 load(int64_t i, int64_t lanes) const {
      const auto words = nibble_words(row, i, lanes);
      const auto shift = hn::And(hn::ShiftLeft<2>(hn::Iota(U32(), 0)), hn::Set(U32(), 31));
      const auto q = hn::BitCast(I32(), hn::And(hn::Shr(words, shift), hn::Set(U32(), 15)));
      const VF32 value = hn::Mul(hn::ConvertTo(F32(), hn::Sub(q, hn::Set(I32(), 8))), scale);
      return lanes == kLanes ? value
                             : hn::IfThenElseZero(hn::FirstN(F32(), static_cast<size_t>(lanes)), value);
    }
  };
  explicit Int4Rows(const Tensor& w)
      : data(static_cast<const uint8_t*>(w.data)),
        scales(w.scales.data),
        row_bytes(w.shape[1] / 2),
        columns(w.scales.columns),
        n_groups(div_up(w.shape[1], columns)) {}
  HWY_INLINE Cursor cursor(int64_t row, int64_t begin) const {
    return {data + row * row_bytes, broadcast_scale(scales, row * n_groups + begin / columns)};
  }

  const uint8_t* data;
  const void* scales;
  int64_t row_bytes;
  int64_t columns;
  int64_t n_groups;
};

struct Fp8Rows {
  static constexpr bool kPlain = false;
  struct Cursor {
    const uint8_t* row;
    VF32 scale;
    HWY_INLINE VF32 load(int64_t i, int64_t lanes) const {
      return hn::Mul(widen_e4m3(row + i, lanes), scale);
    }
  };
  explicit Fp8Rows(const Tensor& w)
      : data(static_cast<const uint8_t*>(w.data)),
        scales(static_cast<const float*>(w.scales.data)),
        stride(w.shape[1]),
        columns(w.scales.columns),
        rows(w.scales.rows),
        n_blocks(div_up(stride, columns)) {}
  HWY_INLINE Cursor cursor(int64_t row, int64_t begin) const {
    const float scale = scales[row / rows * n_blocks + begin / columns];
    return {data + row * stride, hn::Set(F32(), scale * kE4m3Factor)};
  }

  const uint8_t* data;
  const float* scales;
  int64_t stride;
  int64_t columns;
  int64_t rows;
  int64_t n_blocks;
};

/// body(reader of the weight's format).
template <typename Body>
HWY_INLINE void with_weight_rows(const Tensor& w, const Body& body) {
  switch (w.dtype) {
    case Dtype::kI8:
      return body(Int8Rows(w));
    case Dtype::kI4:
      return body(Int4Rows(w));
    case Dtype::kF8E4M3:
      return body(Fp8Rows(w));
    default:
      return with_weight_type(w, [&](const auto* data) {
        using W = std::remove_cv_t<std::remove_pointer_t<decltype(data)>>;
        body(PlainRows<W>{data, w.shape[1], w.shape[1]});
      });
  }
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
