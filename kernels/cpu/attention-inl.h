// The parts of a softmax that walks the cache block by block, shared by both attention forms. Compiled once
// per instruction set.
//
// Each row keeps a running maximum m, a running sum l and its weighted values o. A block with scores s gives
//   m' = max(m, max s), f = e^(m - m'), p = e^(s - m'), l' = l f + sum p, o' = o f + sum_j p_j v_j,
// where j runs over the row's own positions in the block in ascending order. Every step is a function of the
// row alone: there is no shortcut that looks at its neighbours.

// Per-target include guard (see hwy/foreach_target.h).
#if defined(FATHOM_KERNELS_CPU_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FATHOM_KERNELS_CPU_ATTENTION_INL_H_
#undef FATHOM_KERNELS_CPU_ATTENTION_INL_H_
#else
#define FATHOM_KERNELS_CPU_ATTENTION_INL_H_
#endif

#include <algorithm>
#include <limits>

#include "kernels/cpu/latent_rows-inl.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/row_state.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/cpu/wave_plan.h"
#include "kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

/// Turns a block's scores into weights and moves the row's state on. scores[0 .. n_valid) are the row's, the
/// rest of the 64 is ignored and becomes 0. Returns f, the factor that the row's weighted values so far must
/// take.
HWY_INLINE float softmax_block(float* scores, int64_t n_valid, RowState& row) {
  const F32 d;
  std::fill(scores + n_valid, scores + kBlockTokens, -std::numeric_limits<float>::infinity());
  VF32 max = load(scores);
  for (int64_t j = kLanes; j < kBlockTokens; j += kLanes) max = hn::Max(max, load(scores + j));
  const float new_max = std::max(row.max, hn::GetLane(hn::MaxOfLanes(d, max)));
  VF32 sum = hn::Zero(d);
  for (int64_t j = 0; j < kBlockTokens; j += kLanes) {
    const VF32 p = exp(hn::Sub(load(scores + j), hn::Set(d, new_max)));
    store(p, scores + j);
    sum = hn::Add(sum, p);
  }
  const float factor = exp(row.max - new_max);
  row.sum = row.sum * factor + sum_lanes(sum);
  row.max = new_max;
  return factor;
}

/// Rows of weighted values that a block adds to: R rows of `width` numbers.
template <int R>
struct ValueRows {
  float* out[R];            // o of each row
  const float* weights[R];  // p of each row, kBlockTokens
  float factor[R];          // f of each row
  int64_t n_valid[R];       // positions of the block that the row sees
};

/// One strip of C vectors (the last of `lanes` elements): o <- o f + sum_j p_j v_j.
template <int R, int C>
HWY_INLINE void add_value_strip(const ValueRows<R>& rows, const float* values, int64_t stride, int64_t column,
                                int64_t lanes) {
  const F32 d;
  VF32 sums[R][C];
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) {
      sums[r][c] = hn::Mul(load_n(rows.out[r] + column + c * kLanes, lanes), hn::Set(d, rows.factor[r]));
    }
  }
  const auto add = [&](int r_begin, int r_end, int64_t j) HWY_ATTR {
    VF32 v[C];
    for (int c = 0; c < C; ++c) v[c] = load_n(values + j * stride + column + c * kLanes, lanes);
    for (int r = r_begin; r < r_end; ++r) {
      const VF32 p = hn::Set(d, rows.weights[r][j]);
      for (int c = 0; c < C; ++c) sums[r][c] = hn::MulAdd(p, v[c], sums[r][c]);
    }
  };
  const int64_t shared = *std::min_element(rows.n_valid, rows.n_valid + R);
  for (int64_t j = 0; j < shared; ++j) add(0, R, j);
  for (int r = 0; r < R; ++r) {
    for (int64_t j = shared; j < rows.n_valid[r]; ++j) add(r, r + 1, j);
  }
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) store_n(sums[r][c], rows.out[r] + column + c * kLanes, lanes);
  }
}

/// values[j * stride + 0 .. width) is v_j. Positions at and beyond a row's n_valid are not read for it.
template <int R>
HWY_INLINE void add_values(const ValueRows<R>& rows, const float* values, int64_t stride, int64_t width) {
  int64_t column = 0;
  for (; column + 4 * kLanes <= width; column += 4 * kLanes)
    add_value_strip<R, 4>(rows, values, stride, column, kLanes);
  for (; column + kLanes <= width; column += kLanes)
    add_value_strip<R, 1>(rows, values, stride, column, kLanes);
  if (column < width) add_value_strip<R, 1>(rows, values, stride, column, width - column);
}

/// Rows of a packed cache that a task unpacks.
constexpr int64_t kUnpackedRows = 16;

/// Unpacks the wave's rows where they are not read as they are stored.
inline void unpack_wave(const Stream& stream, const WavePlan& plan) {
  if (!plan.is_packed()) return;
  constexpr int64_t kPieces = kBlockTokens / kUnpackedRows;
  const int64_t width = plan.layout().rank + plan.layout().rope;
  stream.pool->parallel_for(plan.n_wave * kPieces, [&](int64_t i) {
    const int64_t slot = i / kPieces;
    const WaveBlock& block = plan.wave[slot];
    const int64_t begin = i % kPieces * kUnpackedRows;
    for (int64_t j = begin; j < std::min<int64_t>(begin + kUnpackedRows, block.n_tokens); ++j)
      decode_latent_row(plan.layout(), plan.stored_row(block, j), plan.unpacked(slot) + j * width);
  });
}

/// o <- o / l, when the row has seen all its blocks.
HWY_INLINE void finish_row(const RowState& row, float* out, int64_t width) {
  const VF32 sum = hn::Set(F32(), row.sum);
  for_vectors(width, [&](int64_t i, int64_t lanes)
                         HWY_ATTR { store_n(hn::Div(load_n(out + i, lanes), sum), out + i, lanes); });
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
