// int8 products by AVX-512 VNNI: VPDPBUSD multiplies four unsigned bytes (weights + 128 or + 8) with four
// signed ones (the row's codes) into each 32-bit lane, without saturation.
#ifdef __x86_64__
// GCC 12 takes the undefined vectors inside its own intrinsics for mistakes.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "kernels/cpu/products_int8.h"
#include "kernels/cpu/tiling.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")
#include "kernels/cpu/int8_tile-inl.h"

namespace fathom::kernels::cpu {
namespace {

struct Vnni {
  using V = __m512i;
  using Code = int8_t;
  static constexpr int64_t kLanes = 16;
  static constexpr int64_t kUnit = 4;
  static constexpr int kVectors = 4;
  static constexpr int kRows = 6;
  static constexpr int64_t kPackCodes = 64;
  static constexpr bool kOffset = true;

  static V splat(int32_t v) { return _mm512_set1_epi32(v); }
  static V load(const int32_t* p) { return _mm512_loadu_si512(p); }
  // _mm512_dpbusd_epi32. GCC 12 copies the sums of the intrinsic around and runs out of registers.
  static V dot(V sum, V weights, V row) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(weights), "v"(row));
    return sum;
  }
  static void add_scaled(float* y, V sum, float scale, const float* weight_scales) {
    const __m512 factor = _mm512_mul_ps(_mm512_set1_ps(scale), _mm512_loadu_ps(weight_scales));
    _mm512_storeu_ps(y, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), factor, _mm512_loadu_ps(y)));
  }

  static V load_codes(const uint8_t* from, bool int4) {
    if (!int4) return _mm512_xor_si512(_mm512_loadu_si512(from), _mm512_set1_epi8(static_cast<char>(0x80)));
    const V pairs = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    return _mm512_and_si512(_mm512_or_si512(pairs, _mm512_slli_epi16(pairs, 4)), _mm512_set1_epi8(15));
  }

  // The 16 x 16 transpose of units.
  static void pack(const uint8_t* const* rows, int64_t from, bool int4, int32_t* out, int64_t stride) {
    V a[16], b[16];
    for (int l = 0; l < 16; ++l) a[l] = load_codes(rows[l] + from, int4);
    for (int l = 0; l < 16; l += 2) {
      b[l] = _mm512_unpacklo_epi32(a[l], a[l + 1]);
      b[l + 1] = _mm512_unpackhi_epi32(a[l], a[l + 1]);
    }
    // a[4 q + j]: units 4 p + j of columns 4 q .. 4 q + 3 in 128-bit part p.
    for (int q = 0; q < 16; q += 4) {
      a[q] = _mm512_unpacklo_epi64(b[q], b[q + 2]);
      a[q + 1] = _mm512_unpackhi_epi64(b[q], b[q + 2]);
      a[q + 2] = _mm512_unpacklo_epi64(b[q + 1], b[q + 3]);
      a[q + 3] = _mm512_unpackhi_epi64(b[q + 1], b[q + 3]);
    }
    // The 4 x 4 transpose of 128-bit parts.
    for (int j = 0; j < 4; ++j) {
      const V low_even = _mm512_shuffle_i32x4(a[j], a[j + 4], 0x88);  // parts 0, 2 of columns 0-3, 4-7
      const V low_odd = _mm512_shuffle_i32x4(a[j], a[j + 4], 0xDD);   // parts 1, 3
      const V high_even = _mm512_shuffle_i32x4(a[j + 8], a[j + 12], 0x88);
      const V high_odd = _mm512_shuffle_i32x4(a[j + 8], a[j + 12], 0xDD);
      _mm512_storeu_si512(out + j * stride, _mm512_shuffle_i32x4(low_even, high_even, 0x88));
      _mm512_storeu_si512(out + (4 + j) * stride, _mm512_shuffle_i32x4(low_odd, high_odd, 0x88));
      _mm512_storeu_si512(out + (8 + j) * stride, _mm512_shuffle_i32x4(low_even, high_even, 0xDD));
      _mm512_storeu_si512(out + (12 + j) * stride, _mm512_shuffle_i32x4(low_odd, high_odd, 0xDD));
    }
  }
};

constexpr int64_t kColumns = 16;  // that one row takes at a time
constexpr int64_t kChunk = 64;    // codes of a vector

/// A matrix's codes and scales.
struct Weights {
  explicit Weights(const Tensor& w)
      : k(w.shape[1]),
        group(w.scales.columns),
        n_groups(groups_of(k, group)),
        int4(w.dtype == Dtype::kI4),
        offset(int4 ? 8 : 128),
        row_bytes(int4 ? k / 2 : k),
        data(static_cast<const uint8_t*>(w.data)),
        scales(static_cast<const uint16_t*>(w.scales.data)) {}

  const uint8_t* row(int64_t n) const { return data + n * row_bytes; }

  int64_t k, group, n_groups;
  bool int4;
  int32_t offset;  // codes are taken + offset, as unsigned bytes
  int64_t row_bytes;
  const uint8_t* data;
  const uint16_t* scales;  // [N, n_groups] bf16
};

/// n codes of a row from code i on as unsigned bytes; what lies behind them is not read.
template <bool kInt4>
inline __m512i load_codes(const uint8_t* row, int64_t i, int64_t n) {
  if constexpr (kInt4) {
    const uint8_t* from = row + i / 2;
    const __m256i bytes =
        n == kChunk ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))
                    : _mm256_maskz_loadu_epi8(static_cast<__mmask32>((uint64_t{1} << n / 2) - 1), from);
    const __m512i pairs = _mm512_cvtepu8_epi16(bytes);
    return _mm512_and_si512(_mm512_or_si512(pairs, _mm512_slli_epi16(pairs, 4)), _mm512_set1_epi8(15));
  } else {
    const __m512i bytes =
        n == kChunk ? _mm512_loadu_si512(row + i) : _mm512_maskz_loadu_epi8((__mmask64{1} << n) - 1, row + i);
    return _mm512_xor_si512(bytes, _mm512_set1_epi8(static_cast<char>(0x80)));
  }
}

/// The rows of up to kColumns columns; the last stands in for those beyond it.
struct ColumnRows {
  ColumnRows(const Weights& w, int64_t col, int64_t n_columns) {
    for (int64_t c = 0; c < kColumns; ++c) row[c] = w.row(col + std::min(c, n_columns - 1));
  }
  const uint8_t* row[kColumns];
};

/// The scales of up to kColumns columns: [n_groups, kColumns].
inline void unpack_scales(const Weights& w, int64_t col, int64_t n_columns, float* out) {
  for (int64_t c = 0; c < kColumns; ++c) {
    const uint16_t* from = w.scales + (col + std::min(c, n_columns - 1)) * w.n_groups;
    for (int64_t g = 0; g < w.n_groups; ++g)
      out[g * kColumns + c] = std::bit_cast<float>(static_cast<uint32_t>(from[g]) << 16);
  }
}

/// In each 128-bit part: the sums of a, of b, of c and of d over the part's lanes.
inline __m512i add_parts(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/// Parts: the sums of a's first two and last two, then b's. Twice, the sum over each vector's parts.
inline __m512i add_halves(__m512i a, __m512i b) {
  return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xDD));
}

/// y + n * (row scale * weight scales), n = sums less what the weights' offset adds.
inline __m512 add_group(__m512 y, __m512i sums, int32_t from_offset, float row_scale, __m512 weight_scales) {
  const __m512i n = _mm512_sub_epi32(sums, _mm512_set1_epi32(from_offset));
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(n), _mm512_mul_ps(_mm512_set1_ps(row_scale), weight_scales), y);
}

/// One row by kColumns columns straight from the matrix: a vector of sums for each column.
template <bool kInt4>
__m512 row_by_columns(void* x, const Weights& w, const ColumnRows& rows, const float* weight_scales) {
  const RowLayout<int8_t> layout(w.k, w.group);
  const int8_t* codes = layout.codes(x);
  __m512 y = _mm512_setzero_ps();
  for (int64_t g = 0; g < w.n_groups; ++g) {
    __m512i sums[kColumns];
#pragma GCC unroll 16
    for (int c = 0; c < kColumns; ++c) sums[c] = _mm512_setzero_si512();
    const int64_t end = std::min((g + 1) * w.group, w.k);
    int64_t i = g * w.group;
    for (; i + kChunk <= end; i += kChunk) {
      const __m512i part = _mm512_loadu_si512(codes + i);
#pragma GCC unroll 16
      for (int c = 0; c < kColumns; ++c)
        sums[c] = Vnni::dot(sums[c], load_codes<kInt4>(rows.row[c], i, kChunk), part);
    }
    if (i < end) {
      const __m512i part = _mm512_maskz_loadu_epi8((__mmask64{1} << (end - i)) - 1, codes + i);
#pragma GCC unroll 16
      for (int c = 0; c < kColumns; ++c)
        sums[c] = Vnni::dot(sums[c], load_codes<kInt4>(rows.row[c], i, end - i), part);
    }
    __m512i fours[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j)
      fours[j] = add_parts(sums[4 * j], sums[4 * j + 1], sums[4 * j + 2], sums[4 * j + 3]);
    const __m512i n = add_halves(add_halves(fours[0], fours[1]), add_halves(fours[2], fours[3]));
    y = add_group(y, n, w.offset * layout.sums(x)[g], layout.scales(x)[g],
                  _mm512_load_ps(weight_scales + g * kColumns));
  }
  return y;
}

/// A panel costs more than it saves these rows.
constexpr int64_t kFewRows = 2;

template <bool kInt4>
void multiply_few_rows(const ProductBlock& b) {
  const Weights w(b.weight);
  auto* scales = static_cast<float*>(b.panel);
  for (int64_t first = 0; first < b.n_columns; first += kColumns) {
    const int64_t n = std::min(kColumns, b.n_columns - first);
    unpack_scales(w, b.col + first, n, scales);
    const ColumnRows rows(w, b.col + first, n);
    for (int64_t r = 0; r < b.n_rows; ++r) {
      _mm512_mask_storeu_ps(b.y + r * b.y_stride + first, static_cast<__mmask16>((1u << n) - 1),
                            row_by_columns<kInt4>(const_cast<void*>(b.x[r]), w, rows, scales));
    }
  }
}

void multiply(const ProductBlock& b) {
  if (b.n_rows > kFewRows) return int8_multiply<Vnni>(b);
  return b.weight.dtype == Dtype::kI4 ? multiply_few_rows<true>(b) : multiply_few_rows<false>(b);
}

/// quantise_group (int8_tile-inl.h), sixteen numbers at a time.
float quantise(const float* x, int64_t n, int8_t* codes, int32_t& sum) {
  const auto mask = [&](int64_t i) {
    return static_cast<__mmask16>(n - i >= Vnni::kLanes ? 0xFFFF : (1u << (n - i)) - 1);
  };
  const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
  __m512i max_bits = _mm512_setzero_si512();
  for (int64_t i = 0; i < n; i += Vnni::kLanes) {
    const __m512i bits = _mm512_castps_si512(_mm512_maskz_loadu_ps(mask(i), x + i));
    max_bits = _mm512_max_epi32(max_bits, _mm512_and_si512(bits, magnitude));
  }
  const Magnitude largest(static_cast<uint32_t>(_mm512_reduce_max_epi32(max_bits)));
  // No number times zero is a number: codes of 0 then.
  const __m512 inverse = _mm512_set1_ps(largest.is_regular() ? largest.inverse() : 0.0f);
  __m512i sums = _mm512_setzero_si512();
  for (int64_t i = 0; i < n; i += Vnni::kLanes) {
    __m512i q = _mm512_setzero_si512();
    if (largest.is_regular())
      q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(mask(i), x + i), inverse));
    sums = _mm512_add_epi32(sums, q);
    _mm512_mask_cvtepi32_storeu_epi8(codes + i, mask(i), q);
  }
  sum = _mm512_reduce_add_epi32(sums);
  return largest.scale();
}

constexpr int kChains = 12;

int64_t chains(int64_t n_steps, float& sink) {
  __m512i sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = _mm512_set1_epi32(c);
  const __m512i x = _mm512_set1_epi8(1);
  for (int64_t i = 0; i < n_steps; ++i) {
    for (int c = 0; c < kChains; ++c) sums[c] = _mm512_dpbusd_epi32(sums[c], x, x);
  }
  for (int c = 1; c < kChains; ++c) sums[0] = _mm512_add_epi32(sums[0], sums[c]);
  sink = static_cast<float>(_mm512_reduce_add_epi32(sums[0]));
  return n_steps * kChains * 64;
}

}  // namespace
}  // namespace fathom::kernels::cpu

#pragma GCC pop_options

namespace fathom::kernels::cpu {

const Products kInt8Avx512Vnni = {
    .name = "AVX-512 VNNI",
    .column_unit = Panel<Vnni>::kColumns,
    .max_rows = kMaxInt8Rows,
    .supported =
        [] { return __builtin_cpu_supports("avx512vnni") != 0 && __builtin_cpu_supports("avx512bw") != 0; },
    .row_bytes = row_bytes<int8_t>,
    .prepare = [](const float* x, int64_t k, int64_t group,
                  void* row) { prepare_row<int8_t>(x, k, group, row, quantise); },
    .panel_bytes = Panel<Vnni>::bytes,
    .multiply = multiply};

int64_t run_vnni_chains(int64_t n_steps, float& sink) {
  return chains(n_steps, sink);
}

}  // namespace fathom::kernels::cpu
#endif
