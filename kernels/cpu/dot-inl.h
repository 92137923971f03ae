// The product of rows and weight rows that every matrix operation here is made of:
// sum_k x[r][k] w[c][k] with vector lanes over k.
//
// One element is one vector accumulator: lane l adds k = l, l + kLanes, ... by fma in ascending order, a last
// partial step is padded with zeros, then sum_lanes. A tile computes several elements at once so that loads
// are shared and the fma units stay busy, but no two elements ever share an accumulator: the tile's size, and
// so the number of rows, cannot change a bit.

// Per-target include guard (see hwy/foreach_target.h).
#if defined(FATHOM_KERNELS_CPU_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FATHOM_KERNELS_CPU_DOT_INL_H_
#undef FATHOM_KERNELS_CPU_DOT_INL_H_
#else
#define FATHOM_KERNELS_CPU_DOT_INL_H_
#endif

#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

/// R rows by C columns; sink(r, c, value).
template <int R, int C, typename W, typename Sink>
HWY_INLINE void dot_tile(const float* const* x, const W* w, int64_t w_stride, int64_t k, const Sink& sink) {
  VF32 sums[R][C];
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sums[r][c] = hn::Zero(F32());
  }
  const auto step = [&](int64_t i, int64_t lanes) HWY_ATTR {
    VF32 weights[C];
    for (int c = 0; c < C; ++c) weights[c] = load_n(w + c * w_stride + i, lanes);
    for (int r = 0; r < R; ++r) {
      const VF32 row = load_n(x[r] + i, lanes);
      for (int c = 0; c < C; ++c) sums[r][c] = hn::MulAdd(row, weights[c], sums[r][c]);
    }
  };
  int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) step(i, kLanes);
  if (i < k) step(i, k - i);
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sink(r, c, sum_lanes(sums[r][c]));
  }
}

/// R rows by n_cols columns, C at a time.
template <int R, int C, typename W, typename Sink>
HWY_INLINE void dot_strip(const float* const* x, const W* w, int64_t w_stride, int64_t n_cols, int64_t k,
                          const Sink& sink) {
  int64_t c = 0;
  for (; c + C <= n_cols; c += C) {
    dot_tile<R, C>(x, w + c * w_stride, w_stride, k,
                   [&](int r, int j, float v) HWY_ATTR { sink(r, c + j, v); });
  }
  for (; c < n_cols; ++c) {
    dot_tile<R, 1>(x, w + c * w_stride, w_stride, k, [&](int r, int, float v) HWY_ATTR { sink(r, c, v); });
  }
}

/// Tiles of 4 x 3 hold 12 of AVX2's 16 registers, tiles of 6 x 4 hold 24 of AVX-512's 32.
constexpr int kTileRows = kLanes >= 16 ? 6 : 4;
constexpr int kTileCols = kLanes >= 16 ? 4 : 3;

/// n_rows rows (given by pointers) by n_cols columns; sink(row, column, value). With fewer rows than a tile
/// has, more columns keep at least 8 sums in flight.
template <typename W, typename Sink>
HWY_INLINE void dot_block(const float* const* x, int64_t n_rows, const W* w, int64_t w_stride, int64_t n_cols,
                          int64_t k, const Sink& sink) {
  int64_t done = n_rows - n_rows % kTileRows;
  if (done > 0) {
    // Columns outside: a tile's weight rows stay in L1 while the block's rows pass.
    for (int64_t c = 0; c < n_cols; c += kTileCols) {
      for (int64_t r = 0; r < done; r += kTileRows) {
        dot_strip<kTileRows, kTileCols>(
            x + r, w + c * w_stride, w_stride, n_cols - c < kTileCols ? n_cols - c : kTileCols, k,
            [&](int64_t i, int64_t j, float v) HWY_ATTR { sink(r + i, c + j, v); });
      }
    }
  }
  const auto rest = [&](int64_t i, int64_t j, float v) HWY_ATTR { sink(done + i, j, v); };
  if (n_rows - done >= 4) {
    dot_strip<4, 3>(x + done, w, w_stride, n_cols, k, rest);
    done += 4;
  }
  switch (n_rows - done) {
    case 1:
      return dot_strip<1, 8>(x + done, w, w_stride, n_cols, k, rest);
    case 2:
      return dot_strip<2, 6>(x + done, w, w_stride, n_cols, k, rest);
    case 3:
      return dot_strip<3, 4>(x + done, w, w_stride, n_cols, k, rest);
    default:
      return;
  }
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
