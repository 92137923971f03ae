// int8 products by AVX-512 VNNI: VPDPBUSD multiplies four unsigned bytes (weights + 128 or + 8) with four
// signed ones (the row's codes) into each 32-bit lane, without saturation.
#ifdef __x86_64__
// GCC 12 takes the undefined vectors inside its own intrinsics for mistakes.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/cpu/products_int8.h"

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

/// One element, straight from the weight's row: the same integer sums and the same order of groups.
float dot_row(const int8_t* codes, const float* scales, const int32_t* sums, const Tensor& weight,
              int64_t col) {
  const int64_t k = weight.shape[1];
  const int64_t group = weight.scales.columns;
  const bool int4 = weight.dtype == Dtype::kI4;
  const int64_t n_groups = groups_of(k, group);
  const auto* row = static_cast<const uint8_t*>(weight.data) + col * (int4 ? k / 2 : k);
  const auto* weight_scales = static_cast<const uint16_t*>(weight.scales.data) + col * n_groups;
  float y = 0.0f;
  for (int64_t g = 0; g < n_groups; ++g) {
    const int64_t end = std::min((g + 1) * group, k);
    __m512i sum = _mm512_setzero_si512();
    for (int64_t i = g * group; i < end; i += 64) {
      const int64_t n = std::min<int64_t>(64, end - i);
      const __mmask64 mask = n == 64 ? ~__mmask64{0} : (__mmask64{1} << n) - 1;
      // Codes behind the group's end count as zero; weights there are not read.
      __m512i w;
      if (n == 64) {
        w = Vnni::load_codes(row + (int4 ? i / 2 : i), int4);
      } else {
        alignas(64) uint8_t part[64] = {};
        std::memcpy(part, row + (int4 ? i / 2 : i), static_cast<size_t>(int4 ? n / 2 : n));
        w = Vnni::load_codes(part, int4);
      }
      sum = Vnni::dot(sum, w, _mm512_maskz_loadu_epi8(mask, codes + i));
    }
    const int32_t n = _mm512_reduce_add_epi32(sum) - (int4 ? 8 : 128) * sums[g];
    const float scale = scales[g] * std::bit_cast<float>(static_cast<uint32_t>(weight_scales[g]) << 16);
    y = std::fma(static_cast<float>(n), scale, y);
  }
  return y;
}

/// A panel costs about as much as the products of this many rows.
constexpr int64_t kFewRows = 2;

void multiply(const ProductBlock& b) {
  if (b.n_rows > kFewRows) return int8_multiply<Vnni>(b);
  const RowLayout<int8_t> layout(b.weight.shape[1], b.weight.scales.columns);
  for (int64_t r = 0; r < b.n_rows; ++r) {
    void* x = const_cast<void*>(b.x[r]);
    for (int64_t c = 0; c < b.n_columns; ++c)
      b.y[r * b.y_stride + c] =
          dot_row(layout.codes(x), layout.scales(x), layout.sums(x), b.weight, b.col + c);
  }
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
    .supported =
        [] { return __builtin_cpu_supports("avx512vnni") != 0 && __builtin_cpu_supports("avx512bw") != 0; },
    .row_bytes = row_bytes<int8_t>,
    .prepare = prepare_row<int8_t>,
    .panel_bytes = Panel<Vnni>::bytes,
    .multiply = multiply};

int64_t run_vnni_chains(int64_t n_steps, float& sink) {
  return chains(n_steps, sink);
}

}  // namespace fathom::kernels::cpu
#endif
