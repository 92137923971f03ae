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

/// Asks for the weight rows of the tile to come, into L2, while a tile is worked on: a row is no longer than
/// a page of memory or two, and the processor's own reading ahead starts anew at each. For 3 rows of x and
/// weight rows of 1,408 bf16 numbers in memory, one thread of a Zen 4 went from 12 to 30 GB/s (26 November
/// 2026); the same into L1, or of the first lines of each row alone, gained nothing.
template <int C, typename Rows>
struct RowsAhead {
  /// What the tile to come has of the elements [begin, end).
  HWY_INLINE void fetch(int64_t begin, int64_t end) const {
    constexpr int64_t kLine = 64;
    for (int c = 0; c < C; ++c) {
      const auto* to = static_cast<const char*>(rows.address(first + c, end));
      for (const auto* at = static_cast<const char*>(rows.address(first + c, begin)); at < to; at += kLine)
        __builtin_prefetch(at, 0, 2);
    }
  }

  const Rows& rows;
  int64_t first;
};

/// sums += rows times weights at one vector.
template <int R, int C, typename Cursor>
HWY_INLINE void add_vector(const float* const* x, const Cursor (&cursors)[C], int64_t i, int64_t lanes,
                           VF32 (&sums)[R][C]) {
  VF32 weights[C];
  unrolled<C>([&](auto c) FATHOM_INLINE_LAMBDA { weights[c] = cursors[c].load(i, lanes); });
  unrolled<R>([&](auto r) FATHOM_INLINE_LAMBDA {
    const VF32 row = in_register(load_n(x[r] + i, lanes));
    unrolled<C>([&](auto c) FATHOM_INLINE_LAMBDA { sums[r][c] = hn::MulAdd(row, weights[c], sums[r][c]); });
  });
}

/// The same at the kStep vectors that the reader makes at a time.
template <int R, int C, typename Cursor>
HWY_INLINE void add_step(const float* const* x, const Cursor (&cursors)[C], int64_t i, VF32 (&sums)[R][C]) {
  constexpr int kStep = Cursor::kStep;
  if constexpr (kStep == 1) {
    add_vector(x, cursors, i, kLanes, sums);
  } else {
    unrolled<C>([&](auto c) FATHOM_INLINE_LAMBDA {
      VF32 weights[kStep];
      cursors[c].load_step(i, weights);
      unrolled<kStep>([&](auto v) FATHOM_INLINE_LAMBDA {
        unrolled<R>([&](auto r) FATHOM_INLINE_LAMBDA {
          sums[r][c] = hn::MulAdd(load(x[r] + i + v * kLanes), weights[v], sums[r][c]);
        });
      });
    });
  }
}

/// sums += the products of [begin, end), of which every cursor's scale is the same.
template <int R, int C, typename Cursor>
HWY_INLINE void add_piece(const float* const* x, const Cursor (&cursors)[C], int64_t begin, int64_t end,
                          VF32 (&sums)[R][C]) {
  constexpr int64_t kStep = Cursor::kStep * kLanes;
  int64_t i = begin;
  for (; i + kStep <= end; i += kStep) add_step(x, cursors, i, sums);
  // What is left of a step, and at the end of the row of a vector: pieces are whole vectors long.
  if constexpr (Cursor::kStep > 1) {
    for (; i + kLanes <= end; i += kLanes) add_vector(x, cursors, i, kLanes, sums);
  }
  if (i < end) add_vector(x, cursors, i, end - i, sums);
}

/// R rows by C columns of a reader (weight_rows-inl.h), the first of them `col`; the tile to come begins at
/// column `next`; sink(r, c, value).
template <int R, int C, typename Rows, typename Sink>
HWY_INLINE void dot_tile(const float* const* x, const Rows& w, int64_t col, int64_t next, int64_t k,
                         const Sink& sink) {
  const RowsAhead<C, Rows> ahead{w, next};
  VF32 sums[R][C];
  unrolled<R>([&](auto r) FATHOM_INLINE_LAMBDA {
    unrolled<C>([&](auto c) FATHOM_INLINE_LAMBDA { sums[r][c] = hn::Zero(F32()); });
  });
  typename Rows::Cursor cursors[C];
  if constexpr (Rows::kPlain) {
    unrolled<C>([&](auto c) FATHOM_INLINE_LAMBDA { cursors[c] = w.cursor(col + c); });
    int64_t i = 0;
    for (; i + 2 * kLanes <= k; i += 2 * kLanes) {
      ahead.fetch(i, i + 2 * kLanes);
      add_vector(x, cursors, i, kLanes, sums);
      add_vector(x, cursors, i + kLanes, kLanes, sums);
    }
    add_piece(x, cursors, i, k, sums);
  } else {
    // Scales are widened for several pieces at a time.
    float scales[C][kScaleBlock];
    for (int64_t begin = 0, piece = 0; begin < k; begin += w.columns, ++piece) {
      const int64_t at = piece % kScaleBlock;
      if (at == 0) {
        for (int c = 0; c < C; ++c) w.load_scales(col + c, piece, scales[c]);
      }
      unrolled<C>([&](auto c) FATHOM_INLINE_LAMBDA { cursors[c] = w.cursor(col + c, scales[c][at]); });
      const int64_t end = k - begin < w.columns ? k : begin + w.columns;
      ahead.fetch(begin, end);
      add_piece(x, cursors, begin, end, sums);
    }
  }
  unrolled<R>([&](auto r) FATHOM_INLINE_LAMBDA {
    unrolled<C>([&](auto c) FATHOM_INLINE_LAMBDA { sink(r, c, sum_lanes(sums[r][c])); });
  });
}

/// Where the tile after the one at c begins; of the last the tile itself, which it reads anyway.
template <int C>
HWY_INLINE int64_t tile_after(int64_t c, int64_t n_cols) {
  return c + 2 * C <= n_cols ? c + C : c;
}

/// R rows by n_cols columns from `col`, C at a time.
template <int R, int C, typename Rows, typename Sink>
HWY_INLINE void dot_strip(const float* const* x, const Rows& w, int64_t col, int64_t n_cols, int64_t k,
                          const Sink& sink) {
  int64_t c = 0;
  for (; c + C <= n_cols; c += C) {
    dot_tile<R, C>(x, w, col + c, col + tile_after<C>(c, n_cols), k,
                   [&](int r, int j, float v) HWY_ATTR { sink(r, c + j, v); });
  }
  for (; c < n_cols; ++c) {
    dot_tile<R, 1>(x, w, col + c, col + c, k, [&](int r, int, float v) HWY_ATTR { sink(r, c, v); });
  }
}

/// Tiles of 4 x 3 hold 12 of AVX2's 16 registers, tiles of 6 x 4 hold 24 of AVX-512's 32.
constexpr int kTileRows = kLanes >= 16 ? 6 : 4;
constexpr int kTileCols = kLanes >= 16 ? 4 : 3;

/// Fewer than kTileRows rows: more columns a tile keep at least 8 sums in flight.
template <typename Rows, typename Sink>
HWY_INLINE void dot_few_rows(const float* const* x, int64_t n_rows, const Rows& w, int64_t col,
                             int64_t n_cols, int64_t k, const Sink& sink) {
  switch (n_rows) {
    case 1:
      return dot_strip<1, 8>(x, w, col, n_cols, k, sink);
    case 2:
      return dot_strip<2, 6>(x, w, col, n_cols, k, sink);
    case 3:
      return dot_strip<3, 4>(x, w, col, n_cols, k, sink);
    case 4:
      return dot_strip<4, 4>(x, w, col, n_cols, k, sink);
    case 5:
      return dot_strip<5, 4>(x, w, col, n_cols, k, sink);
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
  int64_t c = 0;
  for (; done > 0 && c + kTileCols <= n_cols; c += kTileCols) {
    for (int64_t r = 0; r < done; r += kTileRows) {
      dot_tile<kTileRows, kTileCols>(x + r, w, col + c, col + tile_after<kTileCols>(c, n_cols), k,
                                     [&](int i, int j, float v) HWY_ATTR { sink(r + i, c + j, v); });
    }
  }
  for (; done > 0 && c < n_cols; ++c) {
    for (int64_t r = 0; r < done; r += kTileRows) {
      dot_tile<kTileRows, 1>(x + r, w, col + c, col + c, k,
                             [&](int i, int, float v) HWY_ATTR { sink(r + i, c, v); });
    }
  }
  dot_few_rows(x + done, n_rows - done, w, col, n_cols, k,
               [&](int64_t i, int64_t j, float v) HWY_ATTR { sink(done + i, j, v); });
}

/// The same over weight rows at `w`, w_stride apart.
template <typename W, typename Sink>
HWY_INLINE void dot_block(const float* const* x, int64_t n_rows, const W* w, int64_t w_stride, int64_t n_cols,
                          int64_t k, const Sink& sink) {
  dot_rows(x, n_rows, PlainRows<W>{w, w_stride}, 0, n_cols, k, sink);
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
