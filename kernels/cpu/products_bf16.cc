// Rows and weights rounded to bf16, multiplied by VDPBF16PS.
//
// A product is 16 lanes: lane l takes k = 32 i + 2 l + 1 and then k = 32 i + 2 l, i ascending, each by a
// fused multiply-add in fp32 (the instruction's own order, round to nearest even, subnormal inputs and
// results taken as zero); the row's end is padded with zeros, then the lanes are added by a fixed tree.
// Weights that are not stored in bf16 are rounded a few rows at a time: integers as they are unpacked, others
// after they are widened to fp32.
#include "base/div_up.h"
#include "kernels/cpu/products.h"
#include "kernels/cpu/tiling.h"

#ifdef __x86_64__
// GCC 12 takes the undefined vectors inside its own intrinsics for mistakes.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include <algorithm>

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")

namespace fathom::kernels::cpu {
namespace {

constexpr int64_t kStep = 32;  // numbers of a vector
constexpr int kRows = 6;
constexpr int kColumns = 4;

int64_t padded(int64_t k) {
  return div_up(k, kStep) * kStep;
}

__m512i load_bf16(const uint16_t* from, int64_t n) {
  if (n >= kStep) return _mm512_loadu_si512(from);
  return _mm512_maskz_loadu_epi16((__mmask32{1} << n) - 1, from);
}

/// A row of x rounded to bf16, zeros behind its end.
void round_row(const float* x, int64_t k, uint16_t* out) {
  const auto load = [&](int64_t i) __attribute__((always_inline)) {
    const int64_t n = std::clamp<int64_t>(k - i, 0, 16);
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), x + std::min(i, k));
  };
  for (int64_t i = 0; i < k; i += kStep)
    _mm512_storeu_si512(out + i, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(load(i + 16), load(i))));
}

float sum_lanes(__m512 v) {
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}

/// Weight rows in bf16, `stride` apart; each ends after k numbers.
struct Bf16Rows {
  const uint16_t* data;
  int64_t stride;
};

template <int R, int C>
void tile(const uint16_t* const* x, const Bf16Rows& w, int64_t k, float* y, int64_t y_stride) {
  __m512 sums[R][C];
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sums[r][c] = _mm512_setzero_ps();
  }
  const auto step = [&](int64_t i, int64_t n) __attribute__((always_inline)) {
    __m512i weights[C];
    for (int c = 0; c < C; ++c) weights[c] = load_bf16(w.data + c * w.stride + i, n);
    for (int r = 0; r < R; ++r) {
      const auto row = reinterpret_cast<__m512bh>(_mm512_loadu_si512(x[r] + i));
      for (int c = 0; c < C; ++c)
        sums[r][c] = _mm512_dpbf16_ps(sums[r][c], row, reinterpret_cast<__m512bh>(weights[c]));
    }
  };
  int64_t i = 0;
  for (; i + kStep <= k; i += kStep) step(i, kStep);
  if (i < k) step(i, k - i);
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) y[r * y_stride + c] = sum_lanes(sums[r][c]);
  }
}

template <int R, int C>
void strip(const uint16_t* const* x, const Bf16Rows& w, int64_t n_columns, int64_t k, float* y,
           int64_t y_stride) {
  int64_t c = 0;
  for (; c + C <= n_columns; c += C) tile<R, C>(x, {w.data + c * w.stride, w.stride}, k, y + c, y_stride);
  for (; c < n_columns; ++c) tile<R, 1>(x, {w.data + c * w.stride, w.stride}, k, y + c, y_stride);
}

/// All rows by n_columns columns; a tile's weight rows stay in L1 while the rows pass.
void multiply_rows(const ProductBlock& b, const Bf16Rows& w, int64_t first, int64_t n_columns) {
  const auto* x = reinterpret_cast<const uint16_t* const*>(b.x);
  const int64_t k = b.weight.shape[1];
  float* y = b.y + first;
  const int64_t done = b.n_rows - b.n_rows % kRows;
  for (int64_t c = 0; done > 0 && c < n_columns; c += kColumns) {
    for (int64_t r = 0; r < done; r += kRows) {
      strip<kRows, kColumns>(x + r, {w.data + c * w.stride, w.stride},
                             std::min<int64_t>(kColumns, n_columns - c), k, y + r * b.y_stride + c,
                             b.y_stride);
    }
  }
  int64_t r = done;
  for (; b.n_rows - r >= 3; r += 3) strip<3, 4>(x + r, w, n_columns, k, y + r * b.y_stride, b.y_stride);
  if (b.n_rows - r == 2) strip<2, 6>(x + r, w, n_columns, k, y + r * b.y_stride, b.y_stride);
  if (b.n_rows - r == 1) strip<1, 8>(x + r, w, n_columns, k, y + r * b.y_stride, b.y_stride);
}

/// Rows of integers rounded to bf16, without a copy in fp32: q * scale is exact there (weight_rows-inl.h), so
/// that it is rounded once either way.
class IntegerRows {
 public:
  explicit IntegerRows(const Tensor& w)
      : int4_(w.dtype == Dtype::kI4),
        k_(w.shape[1]),
        group_(w.scales.columns),
        data_(static_cast<const uint8_t*>(w.data)),
        scales_(static_cast<const uint16_t*>(w.scales.data)) {}

  /// out [K padded to whole vectors], zeros behind the row's end.
  void round(int64_t row, uint16_t* out) const {
    const uint8_t* codes = data_ + row * (int4_ ? k_ / 2 : k_);
    const uint16_t* scales = scales_ + row * div_up(k_, group_);
    for (int64_t begin = 0; begin < k_; begin += group_) {
      const uint32_t bits = static_cast<uint32_t>(*scales++) << 16;
      const __m512 scale = _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(bits)));
      const int64_t end = std::min(begin + group_, k_);
      if (int4_) {
        round_int4(codes, begin, end, scale, out);
      } else {
        round_int8(codes, begin, end, scale, out);
      }
    }
  }

 private:
  static void round_int8(const uint8_t* codes, int64_t begin, int64_t end, __m512 scale, uint16_t* out) {
    for (int64_t i = begin; i < end; i += kStep) {
      const int64_t n = std::min(kStep, end - i);
      const __m256i q = n == kStep ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + i))
                                   : _mm256_maskz_loadu_epi8((__mmask32{1} << n) - 1, codes + i);
      const auto widen = [&](__m128i half) __attribute__((always_inline)) {
        return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(half)), scale);
      };
      const __m512 low = widen(_mm256_castsi256_si128(q)), high = widen(_mm256_extracti128_si256(q, 1));
      _mm512_storeu_si512(out + i, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
    }
  }

  static void round_int4(const uint8_t* codes, int64_t begin, int64_t end, __m512 scale, uint16_t* out) {
    const __m512 q = _mm512_set_ps(7, 6, 5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5, -6, -7, -8);
    // The sixteen numbers twice: VPERMW looks at five bits, of which a nibble is four.
    const __m512 values = _mm512_mul_ps(q, scale);
    const auto table = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(values, values));
    for (int64_t i = begin; i < end; i += kStep) {
      const int64_t n = std::min(kStep, end - i);
      const auto* from = codes + i / 2;
      const __m128i pairs = n == kStep
                                ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(from))
                                : _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << n / 2) - 1), from);
      // A byte for each two words: its low nibble in the first, its high one in the second.
      const __m512i bytes = _mm512_cvtepu8_epi32(pairs);
      const __m512i nibbles = _mm512_or_si512(bytes, _mm512_slli_epi32(bytes, 12));
      const auto mask = n == kStep ? ~__mmask32{0} : (__mmask32{1} << n) - 1;
      _mm512_storeu_si512(out + i, _mm512_maskz_permutexvar_epi16(mask, nibbles, table));
    }
  }

  bool int4_;
  int64_t k_, group_;
  const uint8_t* data_;
  const uint16_t* scales_;  // bf16
};

constexpr int64_t kPanelColumns = 8;

size_t panel_bytes(int64_t k) {
  return static_cast<size_t>(padded(k)) * (sizeof(float) + kPanelColumns * sizeof(uint16_t));
}

void multiply(const ProductBlock& b) {
  const int64_t k = b.weight.shape[1];
  if (b.weight.dtype == Dtype::kBF16) {
    const auto* data = static_cast<const uint16_t*>(b.weight.data);
    return multiply_rows(b, {data + b.col * k, k}, 0, b.n_columns);
  }
  auto* wide = static_cast<float*>(b.panel);
  auto* rounded = reinterpret_cast<uint16_t*>(wide + padded(k));
  for (int64_t c = 0; c < b.n_columns; c += kPanelColumns) {
    const int64_t n = std::min(kPanelColumns, b.n_columns - c);
    for (int64_t j = 0; j < n; ++j) {
      if (b.weight.dtype == Dtype::kI8 || b.weight.dtype == Dtype::kI4) {
        IntegerRows(b.weight).round(b.col + c + j, rounded + j * padded(k));
        continue;
      }
      unpack_row(b.weight, b.col + c + j, wide);
      round_row(wide, k, rounded + j * padded(k));
    }
    multiply_rows(b, {rounded, padded(k)}, c, n);
  }
}

constexpr int kChains = 12;

int64_t dot_chains(int64_t n_steps, float& sink) {
  __m512 sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = _mm512_set1_ps(static_cast<float>(c));
  const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f00));
  for (int64_t i = 0; i < n_steps; ++i) {
    for (int c = 0; c < kChains; ++c) sums[c] = _mm512_dpbf16_ps(sums[c], x, x);
  }
  for (int c = 1; c < kChains; ++c) sums[0] = _mm512_add_ps(sums[0], sums[c]);
  sink = sum_lanes(sums[0]);
  return n_steps * kChains * 32;
}

}  // namespace
}  // namespace fathom::kernels::cpu

#pragma GCC pop_options

namespace fathom::kernels::cpu {
namespace {

constexpr Products kAvx512Bf16 = {
    .name = "AVX-512 BF16",
    .column_unit = 24,
    .max_rows = kMaxRowBlock,
    .supported =
        [] { return __builtin_cpu_supports("avx512bf16") != 0 && __builtin_cpu_supports("avx512bw") != 0; },
    .row_bytes = [](int64_t k) { return static_cast<size_t>(padded(k)) * sizeof(uint16_t) + 64; },
    .prepare = [](const float* x, int64_t k, int64_t,
                  void* row) { round_row(x, k, static_cast<uint16_t*>(row)); },
    .panel_bytes = panel_bytes,
    .multiply = multiply};
constexpr const Products* kAll[] = {&kAvx512Bf16};

}  // namespace

std::span<const Products* const> products_bf16() {
  return kAll;
}

int64_t run_bf16_dot_chains(int64_t n_steps, float& sink) {
  return kAvx512Bf16.supported() ? dot_chains(n_steps, sink) : 0;
}

}  // namespace fathom::kernels::cpu

#else  // no x86-64

namespace fathom::kernels::cpu {

std::span<const Products* const> products_bf16() {
  return {};
}
int64_t run_bf16_dot_chains(int64_t, float&) {
  return 0;
}

}  // namespace fathom::kernels::cpu
#endif
