// The softmax that walks the cache block by block, shared by both attention forms, as
// kernels/cpu/attention-inl.h has it: m' = max(m, max s), f = e^(m - m'), p = e^(s - m'), l' = l f + sum p.
#pragma once

#include "kernels/cuda/numbers.h"
#include "kernels/cuda/reduce.h"

namespace fathom::kernels::cuda {

/// What a row's softmax has seen: l is the sum of e^(score - max).
struct SoftmaxState {
  float max;
  float sum;
};

/// One warp turns scores[0 .. n_valid) into weights and moves `state`, the same in all its lanes, on. Returns
/// f, the factor that the weighted values so far must take. Lanes take j = lane, lane + 32, ..., then a
/// butterfly.
FATHOM_DEVICE inline float softmax_block(const Simt& simt, float* scores, int64_t n_valid,
                                         SoftmaxState& state) {
  float max = state.max;
  for (int64_t j = simt.lane(); j < n_valid; j += kWarp) max = fmaxf(max, scores[j]);
  max = simt.warp_reduce(max, Largest());
  float sum = 0.0f;
  for (int64_t j = simt.lane(); j < n_valid; j += kWarp) {
    scores[j] = exp_of(scores[j] - max);
    sum += scores[j];
  }
  sum = simt.warp_reduce(sum, Sum());
  const float factor = exp_of(state.max - max);
  state = {max, state.sum * factor + sum};
  return factor;
}

}  // namespace fathom::kernels::cuda
