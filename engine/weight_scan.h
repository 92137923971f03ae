// weight_scan: reads every stored number once and says what is in it, so that a damaged file is found before
// a run.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "engine/checkpoint.h"

namespace fathom::engine {

/// NaNs and infinities are counted and left out of the rest.
struct TensorStatistics {
  int64_t n_nan = 0;
  int64_t n_inf = 0;
  int64_t n_zero = 0;
  float max_abs = 0;
  double rms = 0;  ///< of the finite numbers; 0 when there are none
};

/// Statistics of tensors in host memory, in their order. Independent of the number of threads, bit for bit.
std::vector<TensorStatistics> scan_tensors(std::span<const CheckpointTensor> tensors, ThreadPool& pool);

}  // namespace fathom::engine
