// Rows of a weight matrix, read as fp32 vectors: one reader for each format. Compiled once per instruction
// set.
//
// address(row, i) is where element i of a row lies.
//
// A row is in pieces of `columns` numbers that share their scale (plain numbers have none).
// load_scales(row, piece, out) widens the scales of kScaleBlock pieces, as far as there are as many;
// cursor(row, scale) reads numbers: load(i, lanes) is elements i .. i + lanes of the row as vector lanes,
// zeros behind; load_step(i, out), where kStep > 1, the kStep whole vectors from element i on. A quantised
// number is q * scale, rounded to fp32 once, so that a product over it has the bits of the product over the
// same matrix stored in fp32. For integers q * scale is exact: 4 or 8 bits times the 8 of a bf16 scale.

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
    static constexpr int kStep = 1;
    const W* row;
    HWY_INLINE VF32 load(int64_t i, int64_t lanes) const { return load_n(row + i, lanes); }
  };
  HWY_INLINE Cursor cursor(int64_t row) const { return {data + row * stride}; }
  HWY_INLINE const void* address(int64_t row, int64_t i) const { return data + row * stride + i; }

  const W* data;
  int64_t stride;
};

constexpr int64_t kScaleBlock = 16;

/// The bf16 scales of integers [N, K / columns].
struct IntegerScales {
  explicit IntegerScales(const Tensor& w)
      : data(static_cast<const hwy::bfloat16_t*>(w.scales.data)),
        n_pieces(div_up(w.shape[1], w.scales.columns)) {}
  HWY_INLINE void load(int64_t row, int64_t piece, float* out) const {
    const int64_t n = n_pieces - piece < kScaleBlock ? n_pieces - piece : kScaleBlock;
    const hwy::bfloat16_t* from = data + row * n_pieces + piece;
    for_vectors(n,
                [&](int64_t i, int64_t lanes) HWY_ATTR { store_n(load_n(from + i, lanes), out + i, lanes); });
  }

  const hwy::bfloat16_t* data;
  int64_t n_pieces;
};

struct Int8Rows {
  static constexpr bool kPlain = false;
  struct Cursor {
    static constexpr int kStep = 1;
    const uint8_t* row;
    VF32 scale;
    HWY_INLINE VF32 load(int64_t i, int64_t lanes) const {
      return hn::Mul(hn::ConvertTo(F32(), widen_bytes<int8_t>(row + i, lanes)), scale);
    }
  };
  explicit Int8Rows(const Tensor& w)
      : data(static_cast<const uint8_t*>(w.data)), scales(w), stride(w.shape[1]), columns(w.scales.columns) {}
  HWY_INLINE void load_scales(int64_t row, int64_t piece, float* out) const { scales.load(row, piece, out); }
  HWY_INLINE Cursor cursor(int64_t row, float scale) const {
    return {data + row * stride, hn::Set(F32(), scale)};
  }
  HWY_INLINE const void* address(int64_t row, int64_t i) const { return data + row * stride + i; }

  const uint8_t* data;
  IntegerScales scales;
  int64_t stride;
  int64_t columns;
};

#if HWY_TARGET == HWY_AVX3

/// The sixteen nibbles from p on, of which n are read: nibble l in the low bits of lane l, other numbers'
/// bits above it. kVbmi: by VPMULTISHIFTQB, which the instruction set that this is compiled for lacks.
template <bool kVbmi>
HWY_INLINE __m512i nibble_lanes(const uint8_t* p, int64_t n) {
  int64_t bits = 0;
  std::memcpy(&bits, p, n == kLanes ? sizeof bits : static_cast<size_t>((n + 1) / 2));
  if constexpr (kVbmi) {
    alignas(64) static constexpr int64_t kShifts[8] = {0x0400000000, 0x0C00000008, 0x1400000010,
                                                       0x1C00000018, 0x2400000020, 0x2C00000028,
                                                       0x3400000030, 0x3C00000038};
    // Without a memory operand, which would make GCC keep every sum of a tile in memory.
    __m512i lanes;
    asm("vpmultishiftqb %2, %1, %0"
        : "=v"(lanes)
        : "v"(_mm512_load_si512(kShifts)), "v"(_mm512_set1_epi64(bits)));
    return lanes;
  }
  // Byte l / 2 to lane l, odd lanes down by four bits.
  const __m512i bytes = _mm512_shuffle_epi8(_mm512_set1_epi64(bits),
                                            _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0));
  return _mm512_srlv_epi32(bytes, _mm512_set1_epi64(int64_t{4} << 32));
}

/// The sixteen numbers times their scale are a table in a register.
template <bool kVbmi>
struct Int4Cursor {
  static constexpr int kStep = 1;
  static HWY_INLINE Int4Cursor make(const uint8_t* row, VF32 scale) {
    return {row, hn::Mul(hn::Sub(hn::Iota(F32(), 0), hn::Set(F32(), 8)), scale)};
  }
  HWY_INLINE VF32 load(int64_t i, int64_t lanes) const {
    const VF32 value{_mm512_permutexvar_ps(nibble_lanes<kVbmi>(row + (i >> 1), lanes), table.raw)};
    return lanes == kLanes ? value : hn::IfThenElseZero(hn::FirstN(F32(), static_cast<size_t>(lanes)), value);
  }

  const uint8_t* row;
  VF32 table;
};

#else

/// q scale = (q + 8) scale - 8 scale, exact in every step.
template <bool>
struct Int4Cursor {
  static constexpr int kStep = 1;
  static HWY_INLINE Int4Cursor make(const uint8_t* row, VF32 scale) {
    return {row, scale, hn::Mul(scale, hn::Set(F32(), -8))};
  }
  HWY_INLINE VF32 load(int64_t i, int64_t lanes) const {
    uint32_t bits = 0;
    std::memcpy(&bits, row + i / 2, static_cast<size_t>((lanes + 1) / 2));
    // A vector of one lane may begin with the second nibble of a byte.
    const auto words = hn::Set(U32(), bits >> (i % 2 * 4));
    const auto stored = hn::And(hn::Shr(words, hn::ShiftLeft<2>(hn::Iota(U32(), 0))), hn::Set(U32(), 15));
    const VF32 value = hn::MulAdd(hn::ConvertTo(F32(), hn::BitCast(I32(), stored)), scale, minus_eight);
    return lanes == kLanes ? value : hn::IfThenElseZero(hn::FirstN(F32(), static_cast<size_t>(lanes)), value);
  }

  const uint8_t* row;
  VF32 scale, minus_eight;
};

#endif

template <bool kVbmi>
struct Int4Rows {
  static constexpr bool kPlain = false;
  using Cursor = Int4Cursor<kVbmi>;
  explicit Int4Rows(const Tensor& w)
      : data(static_cast<const uint8_t*>(w.data)),
        scales(w),
        row_bytes(w.shape[1] / 2),
        columns(w.scales.columns) {}
  HWY_INLINE void load_scales(int64_t row, int64_t piece, float* out) const { scales.load(row, piece, out); }
  HWY_INLINE Cursor cursor(int64_t row, float scale) const {
    return Cursor::make(data + row * row_bytes, hn::Set(F32(), scale));
  }
  HWY_INLINE const void* address(int64_t row, int64_t i) const { return data + row * row_bytes + i / 2; }

  const uint8_t* data;
  IntegerScales scales;
  int64_t row_bytes;
  int64_t columns;
};

#if HWY_TARGET == HWY_AVX3

/// The high and the low bytes of the bf16 numbers that e4m3's 128 magnitudes are.
struct E4m3Tables {
  constexpr E4m3Tables() : high(), low() {
    for (int code = 0; code < 128; ++code) {
      const int exponent = code >> 3, mantissa = code & 7;
      int bits = (exponent + 120) << 7 | mantissa << 4;
      if (exponent == 0) {  // mantissa / 512 = 2^(top - 9) times 1.xx
        const int top = mantissa >= 4 ? 2 : mantissa >= 2 ? 1 : 0;
        bits = mantissa == 0 ? 0 : (top + 118) << 7 | (mantissa << (7 - top) & 127);
      }
      if (code == 127) bits = 0x7FC0;
      high[code] = static_cast<uint8_t>(bits >> 8);
      low[code] = static_cast<uint8_t>(bits & 255);
    }
  }
  alignas(64) uint8_t high[128];
  alignas(64) uint8_t low[128];
};

/// 64 numbers of e4m3 from p by VBMI's byte permutations.
HWY_INLINE void widen_e4m3_by_table(const uint8_t* p, VF32 (&out)[4]) {
  alignas(64) static constexpr E4m3Tables kTables;
  const __m512i codes = _mm512_loadu_si512(p);
  const auto look_up = [&](const uint8_t* table) HWY_ATTR {
    __m512i bytes = codes;
    asm("vpermi2b %2, %1, %0"
        : "+v"(bytes)
        : "v"(_mm512_load_si512(table)), "v"(_mm512_load_si512(table + 64)));
    return bytes;
  };
  const __m512i low = look_up(kTables.low);
  const __m512i high =
      _mm512_ternarylogic_epi32(look_up(kTables.high), codes, _mm512_set1_epi8(int8_t(0x80)), 0xF8);
  // Bytes 2 and 3 of lane l: low and high byte of number l of 16.
  const __mmask64 upper = 0xCCCCCCCCCCCCCCCC;
  const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i first =
      _mm512_or_si512(_mm512_or_si512(_mm512_slli_epi32(lane, 16), _mm512_slli_epi32(lane, 24)),
                      _mm512_set1_epi32(0x40000000));
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v) {
    __m512i words = low;
    asm("vpermt2b %3, %2, %0%{%1%}%{z%}"
        : "+v"(words)
        : "Yk"(upper), "v"(_mm512_add_epi32(first, _mm512_set1_epi32(0x10100000 * v))), "v"(high));
    out[v] = VF32{_mm512_castsi512_ps(words)};
  }
}

#endif

template <bool kVbmi>
struct Fp8Rows {
  static constexpr bool kPlain = false;
  struct Cursor {
    static constexpr int kStep = kVbmi ? 4 : 1;
    const uint8_t* row;
    VF32 scale;
    HWY_INLINE VF32 load(int64_t i, int64_t lanes) const {
      return hn::Mul(widen_e4m3(row + i, lanes), scale);
    }
    HWY_INLINE void load_step(int64_t i, VF32 (&out)[kStep]) const {
#if HWY_TARGET == HWY_AVX3
      if constexpr (kVbmi) widen_e4m3_by_table(row + i, out);
#endif
#pragma GCC unroll 4
      for (int v = 0; v < kStep; ++v) out[v] = hn::Mul(out[v], scale);
    }
  };
  explicit Fp8Rows(const Tensor& w)
      : data(static_cast<const uint8_t*>(w.data)),
        scales(static_cast<const float*>(w.scales.data)),
        stride(w.shape[1]),
        columns(w.scales.columns),
        rows(w.scales.rows),
        n_blocks(div_up(stride, columns)) {}
  HWY_INLINE void load_scales(int64_t row, int64_t piece, float* out) const {
    const int64_t n = n_blocks - piece < kScaleBlock ? n_blocks - piece : kScaleBlock;
    std::memcpy(out, scales + row / rows * n_blocks + piece, static_cast<size_t>(n) * sizeof(float));
  }
  HWY_INLINE Cursor cursor(int64_t row, float scale) const {
    return {data + row * stride, hn::Set(F32(), scale)};
  }
  HWY_INLINE const void* address(int64_t row, int64_t i) const { return data + row * stride + i; }

  const uint8_t* data;
  const float* scales;
  int64_t stride;
  int64_t columns;
  int64_t rows;
  int64_t n_blocks;
};

/// Row `row` of k numbers, widened; writes whole vectors, so up to kLanes - 1 zeros behind.
template <typename Rows>
HWY_INLINE void unpack(const Rows& w, int64_t row, int64_t k, float* out) {
  const auto piece = [&](const auto& cursor, int64_t i, int64_t end) HWY_ATTR {
    constexpr int kStep = std::remove_cvref_t<decltype(cursor)>::kStep;
    if constexpr (kStep > 1) {
      for (; i + kStep * kLanes <= end; i += kStep * kLanes) {
        VF32 numbers[kStep];
        cursor.load_step(i, numbers);
        for (int v = 0; v < kStep; ++v) store(numbers[v], out + i + v * kLanes);
      }
    }
    for (; i + kLanes <= end; i += kLanes) store(cursor.load(i, kLanes), out + i);
    if (i < end) store(cursor.load(i, end - i), out + i);
  };
  if constexpr (Rows::kPlain) {
    piece(w.cursor(row), 0, k);
  } else {
    float scales[kScaleBlock];
    for (int64_t begin = 0, at = 0; begin < k; begin += w.columns, ++at) {
      if (at % kScaleBlock == 0) w.load_scales(row, at, scales);
      piece(w.cursor(row, scales[at % kScaleBlock]), begin, k - begin < w.columns ? k : begin + w.columns);
    }
  }
}

/// body(reader of the weight's format).
template <typename Body>
HWY_INLINE void with_weight_rows(const Tensor& w, const Body& body) {
#if HWY_TARGET == HWY_AVX3
  if (w.dtype == Dtype::kI4 && __builtin_cpu_supports("avx512vbmi")) return body(Int4Rows<true>(w));
  if (w.dtype == Dtype::kF8E4M3 && __builtin_cpu_supports("avx512vbmi")) return body(Fp8Rows<true>(w));
#endif
  switch (w.dtype) {
    case Dtype::kI8:
      return body(Int8Rows(w));
    case Dtype::kI4:
      return body(Int4Rows<false>(w));
    case Dtype::kF8E4M3:
      return body(Fp8Rows<false>(w));
    default:
      return with_weight_type(w, [&](const auto* data) {
        using W = std::remove_cv_t<std::remove_pointer_t<decltype(data)>>;
        body(PlainRows<W>{data, w.shape[1]});
      });
  }
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
