// Reductions over the threads of a block in one fixed order: butterfly within each warp, then the warps'
// results in ascending order.
#pragma once

#include <cmath>

#include "kernels/cuda/simt.h"

namespace fathom::kernels::cuda {

/// Threads of the kernels that take a row a block.
inline constexpr int kRowThreads = 256;
inline constexpr int kRowWarps = kRowThreads / kWarp;

struct Sum {
  template <typename T>
  FATHOM_DEVICE T operator()(T a, T b) const {
    return a + b;
  }
};
struct Largest {
  FATHOM_DEVICE float operator()(float a, float b) const { return fmaxf(a, b); }
};

/// A value and where it is; index < 0: none yet.
struct Candidate {
  float value;
  int32_t index;
};
/// The larger value, the lower index among equals; a NaN never wins over a number.
struct Better {
  FATHOM_DEVICE Candidate operator()(const Candidate& a, const Candidate& b) const {
    if (a.index < 0 || b.index < 0) return a.index < 0 ? b : a;
    const bool a_is_nan = a.value != a.value;
    const bool b_is_nan = b.value != b.value;
    if (a_is_nan != b_is_nan) return a_is_nan ? b : a;
    if (a.value != b.value && !a_is_nan) return a.value > b.value ? a : b;
    return a.index < b.index ? a : b;
  }
};

/// Every thread of a block of kRowThreads gets the result. `room` is shared memory for kRowWarps values, free
/// to use again on return.
template <typename T, typename Op>
FATHOM_DEVICE T block_reduce(const Simt& simt, T v, const Op& op, T* room) {
  v = simt.warp_reduce(v, op);
  if (simt.lane() == 0) room[simt.warp()] = v;
  simt.barrier();
  T result = room[0];
  for (int w = 1; w < kRowWarps; ++w) result = op(result, room[w]);
  simt.barrier();
  return result;
}

}  // namespace fathom::kernels::cuda
