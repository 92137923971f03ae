// The product of dot-inl.h for many rows, from packed operands.
//
// The rows of a tile lie one vector after the other, in the order in which the tile takes them: rows a power
// of two apart would share a few sets of the cache. Weights are read where they are, quantised ones from a
// panel in which a tile's columns are unpacked once for all rows. An element is one accumulator over k in
// ascending order, and sum_lanes: no bit depends on the packing.

// Per-target include guard (see hwy/foreach_target.h).
#if defined(FATHOM_KERNELS_CPU_DOT_PACKED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FATHOM_KERNELS_CPU_DOT_PACKED_INL_H_
#undef FATHOM_KERNELS_CPU_DOT_PACKED_INL_H_
#else
#define FATHOM_KERNELS_CPU_DOT_PACKED_INL_H_
#endif

#include <algorithm>

#include "kernels/cpu/dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

/// Rows from which on packing pays.
constexpr int64_t kPackedRows = 2 * kTileRows;

/// Floats of n_rows packed rows of length k.
inline int64_t packed_rows_size(int64_t n_rows, int64_t k) {
  return div_up(n_rows, kTileRows) * kTileRows * div_up(k, kLanes) * kLanes;
}

/// [tiles][k / lanes][kTileRows] vectors. The last tile is filled up with its last row, the last vector with
/// zeros.
HWY_INLINE void pack_rows(const float* const* x, int64_t n_rows, int64_t k, float* packed) {
  for (int64_t tile = 0; tile < n_rows; tile += kTileRows) {
    for_vectors(k, [&](int64_t i, int64_t lanes) HWY_ATTR {
      for (int64_t r = tile; r < tile + kTileRows; ++r, packed += kLanes)
        store(load_n(x[std::min(r, n_rows - 1)] + i, lanes), packed);
    });
  }
}

/// kTileRows packed rows by C weight rows: their sums in lanes, [kTileRows][C] vectors at `sums`.
template <int C, typename Cursor, typename Rows>
HWY_INLINE void packed_tile(const float* rows, const Cursor (&cursors)[C], const RowsAhead<C, Rows>& ahead,
                            int64_t k, float* sums) {
  VF32 work[kTileRows][C];
  for (int r = 0; r < kTileRows; ++r) {
    for (int c = 0; c < C; ++c) work[r][c] = hn::Zero(F32());
  }
  const auto step = [&](int64_t i, int64_t lanes) FATHOM_INLINE_LAMBDA {
    VF32 weights[C];
    for (int c = 0; c < C; ++c) weights[c] = cursors[c].load(i, lanes);
    for (int r = 0; r < kTileRows; ++r) {
      const VF32 row = in_register(load(rows + r * kLanes));
      for (int c = 0; c < C; ++c) work[r][c] = hn::MulAdd(row, weights[c], work[r][c]);
    }
    rows += kTileRows * kLanes;
  };
  int64_t i = 0;
  for (; i + 2 * kLanes <= k; i += 2 * kLanes) {
    ahead.fetch(i, i + 2 * kLanes);
    step(i, kLanes);
    step(i + kLanes, kLanes);
  }
  for (; i + kLanes <= k; i += kLanes) step(i, kLanes);
  if (i < k) step(i, k - i);
  for (int r = 0; r < kTileRows; ++r) {
    for (int c = 0; c < C; ++c) store(work[r][c], sums + (r * C + c) * kLanes);
  }
}

/// sum_lanes of each of C vectors at `sums`.
template <int C>
HWY_INLINE void sum_each(const float* sums, float* out) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (C == 4) {
    // The tree of one vector's sum, four vectors at a time: halves, quarters, then (0 + 2) + (1 + 3).
    const F32 d;
    const VF32 v0 = load(sums), v1 = load(sums + 16), v2 = load(sums + 32), v3 = load(sums + 48);
    const VF32 v01 = hn::Add(hn::ConcatLowerLower(d, v1, v0), hn::ConcatUpperUpper(d, v1, v0));
    const VF32 v23 = hn::Add(hn::ConcatLowerLower(d, v3, v2), hn::ConcatUpperUpper(d, v3, v2));
    const __m512 quarters = _mm512_add_ps(_mm512_shuffle_f32x4(v01.raw, v23.raw, 0x88),
                                          _mm512_shuffle_f32x4(v01.raw, v23.raw, 0xDD));
    const __m512 pairs = _mm512_add_ps(quarters, _mm512_permute_ps(quarters, 0x4E));
    const __m512 all = _mm512_add_ps(pairs, _mm512_permute_ps(pairs, 0xB1));
    return _mm_storeu_ps(out, _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, all)));
  }
#endif
  for (int c = 0; c < C; ++c) out[c] = sum_lanes(load(sums + c * kLanes));
}

/// All packed rows by C columns of a reader of plain numbers; the strip to come begins at column `next`.
template <int C, typename Rows, typename Sink>
HWY_INLINE void packed_strip(const float* packed, int64_t n_rows, const Rows& w, int64_t col, int64_t next,
                             int64_t k, const Sink& sink) {
  alignas(64) float sums[kTileRows * C * kLanes];
  typename Rows::Cursor cursors[C];
  for (int c = 0; c < C; ++c) cursors[c] = w.cursor(col + c);
  for (int64_t row = 0; row < n_rows; row += kTileRows) {
    const RowsAhead<C, Rows> ahead{w, row == 0 ? next : col};
    packed_tile(packed + row * div_up(k, kLanes) * kLanes, cursors, ahead, k, sums);
    for (int64_t r = 0; r < std::min<int64_t>(kTileRows, n_rows - row); ++r) {
      float values[C];
      sum_each<C>(sums + r * C * kLanes, values);
      for (int c = 0; c < C; ++c) sink(row + r, c, values[c]);
    }
  }
}

template <typename Rows, typename Sink>
HWY_INLINE void packed_columns(const float* packed, int64_t n_rows, const Rows& w, int64_t col,
                               int64_t n_cols, int64_t k, const Sink& sink) {
  int64_t c = 0;
  const auto here = [&](int64_t r, int64_t j, float v) HWY_ATTR { sink(r, c + j, v); };
  for (; c + kTileCols <= n_cols; c += kTileCols)
    packed_strip<kTileCols>(packed, n_rows, w, col + c, col + tile_after<kTileCols>(c, n_cols), k, here);
  for (; c < n_cols; ++c) packed_strip<1>(packed, n_rows, w, col + c, col + c, k, here);
}

/// Floats between the rows of a panel: no power of two apart, or they would share cache sets.
inline int64_t panel_stride(int64_t k) {
  return div_up(k, 16) * 16 + 16;
}

/// n_rows rows packed by pack_rows by n_cols columns from `col`; sink(row, column, value). `panel`: for
/// quantised weights, kTileCols * panel_stride(k) floats.
template <typename Rows, typename Sink>
HWY_INLINE void dot_packed(const float* packed, int64_t n_rows, const Rows& w, int64_t col, int64_t n_cols,
                           int64_t k, float* panel, const Sink& sink) {
  if constexpr (Rows::kPlain) {
    return packed_columns(packed, n_rows, w, col, n_cols, k, sink);
  } else {
    const int64_t stride = panel_stride(k);
    for (int64_t c = 0; c < n_cols; c += kTileCols) {
      const int64_t n = std::min<int64_t>(kTileCols, n_cols - c);
      for (int64_t j = 0; j < n; ++j) unpack(w, col + c + j, k, panel + j * stride);
      packed_columns(packed, n_rows, PlainRows<float>{panel, stride}, 0, n, k,
                     [&](int64_t r, int64_t j, float v) HWY_ATTR { sink(r, c + j, v); });
    }
  }
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
