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

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")
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
  static V dot(V sum, V weights, V row) { return _mm512_dpbusd_epi32(sum, weights, row); }
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
    .multiply = int8_multiply<Vnni>};

int64_t run_vnni_chains(int64_t n_steps, float& sink) {
  return chains(n_steps, sink);
}

}  // namespace fathom::kernels::cpu
#endif
