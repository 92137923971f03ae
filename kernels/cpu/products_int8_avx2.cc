// int8 products by AVX2: codes widened to 16 bits, VPMADDWD adds two products to a 32-bit lane, without
// saturation (VPMADDUBSW would saturate).
#ifdef __x86_64__
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "kernels/cpu/products_int8.h"
#include "kernels/cpu/tiling.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#include "kernels/cpu/int8_tile-inl.h"

namespace fathom::kernels::cpu {
namespace {

struct Avx2 {
  using V = __m256i;
  using Code = int16_t;
  static constexpr int64_t kLanes = 8;
  static constexpr int64_t kUnit = 2;
  static constexpr int kVectors = 2;
  static constexpr int kRows = 4;
  static constexpr int64_t kPackCodes = 16;
  static constexpr bool kOffset = false;

  static V splat(int32_t v) { return _mm256_set1_epi32(v); }
  static V load(const int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const V*>(p)); }
  static V dot(V sum, V weights, V row) { return _mm256_add_epi32(sum, _mm256_madd_epi16(weights, row)); }
  static void add_scaled(float* y, V sum, float scale, const float* weight_scales) {
    const __m256 factor = _mm256_mul_ps(_mm256_set1_ps(scale), _mm256_loadu_ps(weight_scales));
    _mm256_storeu_ps(y, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), factor, _mm256_loadu_ps(y)));
  }

  static V load_codes(const uint8_t* from, bool int4) {
    if (!int4) return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    const __m128i pairs = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
    const __m128i codes = _mm_and_si128(_mm_or_si128(pairs, _mm_slli_epi16(pairs, 4)), _mm_set1_epi8(15));
    return _mm256_cvtepi8_epi16(_mm_sub_epi8(codes, _mm_set1_epi8(8)));
  }

  // The 8 x 8 transpose of units.
  static void pack(const uint8_t* const* rows, int64_t from, bool int4, int32_t* out, int64_t stride) {
    V a[8], b[8];
    for (int l = 0; l < 8; ++l) a[l] = load_codes(rows[l] + from, int4);
    for (int l = 0; l < 8; l += 2) {
      b[l] = _mm256_unpacklo_epi32(a[l], a[l + 1]);
      b[l + 1] = _mm256_unpackhi_epi32(a[l], a[l + 1]);
    }
    for (int q = 0; q < 8; q += 4) {
      a[q] = _mm256_unpacklo_epi64(b[q], b[q + 2]);
      a[q + 1] = _mm256_unpackhi_epi64(b[q], b[q + 2]);
      a[q + 2] = _mm256_unpacklo_epi64(b[q + 1], b[q + 3]);
      a[q + 3] = _mm256_unpackhi_epi64(b[q + 1], b[q + 3]);
    }
    for (int j = 0; j < 4; ++j) {
      store(out + j * stride, _mm256_permute2x128_si256(a[j], a[j + 4], 0x20));
      store(out + (4 + j) * stride, _mm256_permute2x128_si256(a[j], a[j + 4], 0x31));
    }
  }
  static void store(int32_t* p, V v) { _mm256_storeu_si256(reinterpret_cast<V*>(p), v); }
};

constexpr int kChains = 12;

int64_t chains(int64_t n_steps, float& sink) {
  __m256i sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = _mm256_set1_epi32(c);
  __m256i x = _mm256_set1_epi16(1);
  for (int64_t i = 0; i < n_steps; ++i) {
    __asm__ volatile("" : "+x"(x));  // the product is made anew in each step
    for (int c = 0; c < kChains; ++c) {
      __m256i product = _mm256_madd_epi16(x, x);
      __asm__ volatile("" : "+x"(product));
      sums[c] = _mm256_add_epi32(sums[c], product);
    }
  }
  for (int c = 1; c < kChains; ++c) sums[0] = _mm256_add_epi32(sums[0], sums[c]);
  sink = static_cast<float>(_mm256_extract_epi32(sums[0], 0));
  return n_steps * kChains * 16;
}

}  // namespace
}  // namespace fathom::kernels::cpu

#pragma GCC pop_options

namespace fathom::kernels::cpu {

const Products kInt8Avx2 = {
    .name = "AVX2",
    .column_unit = Panel<Avx2>::kColumns,
    .max_rows = kMaxInt8Rows,
    .supported = [] { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; },
    .row_bytes = row_bytes<int16_t>,
    .prepare = prepare_int16_row,
    .panel_bytes = Panel<Avx2>::bytes,
    .multiply = int8_multiply<Avx2>};

int64_t run_avx2_int16_chains(int64_t n_steps, float& sink) {
  return chains(n_steps, sink);
}

}  // namespace fathom::kernels::cpu
#endif
