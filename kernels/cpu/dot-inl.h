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

#include <algorithm>

#include "kernels/cpu/weight_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

/// R rows by C columns of a reader (weight_rows-inl.h), the first of them `col`; sink(r, c, value).
template <int R, int C, typename Rows, typename Sink>
HWY_INLINE void dot_tile(const float* const* x, const Rows& w, int64_t col, int64_t k, const Sink& sink) {
  VF32 sums[R][C];
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sums[r][c] = hn::Zero(F32());
  }
  int64_t i = 0;
  do {
    typename Rows::Cursor cursors[C];
    for (int c = 0; c < C; ++c) cursors[c] = w.cursor(col + c, i);
    const auto step = [&](int64_t lanes) HWY_ATTR {
      VF32 weights[C];
      for (int c = 0; c < C; ++c) weights[c] = cursors[c].load(i, lanes);
      for (int r = 0; r < R; ++r) {
        const VF32 row = load_n(x[r] + i, lanes);
        for (int c = 0; c < C; ++c) sums[r][c] = hn::MulAdd(row, weights[c], sums[r][c]);
      }
    };
    const int64_t end = k - i < w.columns ? k : i + w.columns;
    for (; i + kLanes <= end; i += kLanes) step(kLanes);
    if (i < end) {
      step(end - i);  // the end of the row: pieces are whole vectors long
      i = end;
    }
  } while (i < k);
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sink(r, c, sum_lanes(sums[r][c]));
  }
}

/// R rows by n_cols columns from `col`, C at a time.
template <int R, int C, typename Rows, typename Sink>
HWY_INLINE void dot_strip(const float* const* x, const Rows& w, int64_t col, int64_t n_cols, int64_t k,
                          const Sink& sink) {
  int64_t c = 0;
  for (; c + C <= n_cols; c += C) {
    dot_tile<R, C>(x, w, col + c, k, [&](int r, int j, float v) HWY_ATTR { sink(r, c + j, v); });
  }
  for (; c < n_cols; ++c) {
    dot_tile<R, 1>(x, w, col + c, k, [&](int r, int, float v) HWY_ATTR { sink(r, c, v); });
  }
}

/// Tiles of 4 x 3 hold 12 of AVX2's 16 registers, tiles of 6 x 4 hold 24 of AVX-512's 32.
constexpr int kTileRows = kLanes >= 16 ? 6 : 4;
constexpr int kTileCols = kLanes >= 16 ? 4 : 3;

/// Fewer than kTileRows rows: more columns a tile keep at least 8 sums in flight.
template <typename Rows, typename Sink>
HWY_INLINE void dot_few_rows(const float* const* x, int64_t n_rows, const Rows& w, int64_t col,
                             int64_t n_cols, int64_t k, const Sink& sink) {
  int64_t done = 0;
  if (n_rows >= 4) {
    dot_strip<4, 3>(x, w, col, n_cols, k, sink);
    done = 4;
  }
  const auto rest = [&](int64_t i, int64_t j, float v) HWY_ATTR { sink(done + i, j, v); };
  switch (n_rows - done) {
    case 1:
      return dot_strip<1, 8>(x + done, w, col, n_cols, k, rest);
    case 2:
      return dot_strip<2, 6>(x + done, w, col, n_cols, k, rest);
    case 3:
      return dot_strip<3, 4>(x + done, w, col, n_cols, k, rest);
    default:
      return;
  }
}

/// n_rows rows (given by pointers) by n_cols columns from `col`; sink(row, column, value).
template <typename Rows, typename Sink>
HWY_INLINE void dot_rows(const float* const* x, int64_t n_rows, const Rows& w, int64_t col, int64_t n_cols,
                         int64_t k, const Sink& sink) {
  const int64_t done = n_rows - n_rows % kTileRows;
  // Columns outside: a tile's weight rows stay in L1 while the block's rows pass.
  for (int64_t c = 0; done > 0 && c < n_cols; c += kTileCols) {
    for (int64_t r = 0; r < done; r += kTileRows) {
      dot_strip<kTileRows, kTileCols>(x + r, w, col + c, std::min<int64_t>(kTileCols, n_cols - c), k,
                                      [&](int64_t i, int64_t j, float v) HWY_ATTR { sink(r + i, c + j, v); });
    }
  }
  dot_few_rows(x + done, n_rows - done, w, col, n_cols, k,
               [&](int64_t i, int64_t j, float v) HWY_ATTR { sink(done + i, j, v); });
}

/// The same over weight rows at `w`, w_stride apart.
template <typename W, typename Sink>
HWY_INLINE void dot_block(const float* const* x, int64_t n_rows, const W* w, int64_t w_stride, int64_t n_cols,
                          int64_t k, const Sink& sink) {
  dot_rows(x, n_rows, PlainRows<W>{w, w_stride, k}, 0, n_cols, k, sink);
}

/// Rows from which on unpacking quantised weights once into fp32 costs less than unpacking them in each tile.
constexpr int64_t kPanelRows = 2 * kTileRows;

inline int64_t panel_stride(int64_t k) {
  return (k + 15) / 16 * 16 + 16;  // not a power of two: rows would share cache sets
}

/// dot_rows for any format: with many rows, kTileCols quantised weight rows at a time are unpacked into
/// `panel` (kTileCols * panel_stride(k) floats), which takes the same values to the same tiles.
template <typename Rows, typename Sink>
HWY_INLINE void dot_any_rows(const float* const* x, int64_t n_rows, const Rows& w, int64_t col,
                             int64_t n_cols, int64_t k, float* panel, const Sink& sink) {
  if (Rows::kPlain || n_rows < kPanelRows) return dot_rows(x, n_rows, w, col, n_cols, k, sink);
  const int64_t stride = panel_stride(k);
  for (int64_t c = 0; c < n_cols; c += kTileCols) {
    const int64_t n = std::min<int64_t>(kTileCols, n_cols - c);
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t begin = 0; begin < k; begin += w.columns) {
        const auto cursor = w.cursor(col + c + j, begin);
        const int64_t length = std::min(w.columns, k - begin);
        for_vectors(length, [&](int64_t i, int64_t lanes) HWY_ATTR {
          store(cursor.load(begin + i, lanes), panel + j * stride + begin + i);
        });
      }
    }
    dot_rows(x, n_rows, PlainRows<float>{panel, stride, k}, 0, n, k,
             [&](int64_t r, int64_t i, float v) HWY_ATTR { sink(r, c + i, v); });
  }
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
