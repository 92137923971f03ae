// log sum e^x of a row of logits, and its largest element, by one block.
#pragma once

#include <cmath>

#include "kernels/cuda/numbers.h"
#include "kernels/cuda/reduce.h"

namespace fathom::kernels::cuda {

struct LogSumExp {
  double value;
  Candidate max;  // the lowest id among equals
};

/// Shared memory for it.
struct LogSumExpRoom {
  double sums[kRowWarps];
  Candidate candidates[kRowWarps];
};

/// log sum_v e^(x_v / temperature): exponentials of fp32 differences to the maximum; thread t adds those of
/// t, t + kRowThreads, ... in double, then block_reduce. NaN for a row with a NaN. Every thread gets the
/// result.
FATHOM_DEVICE inline LogSumExp log_sum_exp(const Simt& simt, const float* x, int64_t n, float temperature,
                                           LogSumExpRoom& room) {
  LogSumExp result{0.0, {0.0f, -1}};
  for (int64_t i = simt.thread(); i < n; i += kRowThreads) {
    result.max = Better()(result.max, Candidate{x[i], static_cast<int32_t>(i)});
  }
  result.max = block_reduce(simt, result.max, Better(), room.candidates);
  double sum = 0.0;
  for (int64_t i = simt.thread(); i < n; i += kRowThreads) {
    sum += static_cast<double>(exp_of((x[i] - result.max.value) / temperature));
  }
  sum = block_reduce(simt, sum, Sum(), room.sums);
  result.value = static_cast<double>(result.max.value) / temperature + log(sum);
  return result;
}

}  // namespace fathom::kernels::cuda
