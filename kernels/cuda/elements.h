// Kernels over the elements of an array, of which any thread may take any.
#pragma once

#include "kernels/cuda/index.h"
#include "kernels/cuda/simt.h"

namespace fathom::kernels::cuda {

/// Threads of a block of such kernels.
inline constexpr int kElementThreads = 256;

inline GridSize element_blocks(int64_t n) {
  return {.x = at_most(div_up(n, kElementThreads), 65535)};
}

/// body(i) for every i in [0, n) that falls to this thread.
template <typename Body>
FATHOM_DEVICE void for_elements(const Simt& simt, int64_t n, const Body& body) {
  const int64_t step = simt.n_blocks_x() * kElementThreads;
  for (int64_t i = simt.block_x() * kElementThreads + simt.thread(); i < n; i += step) body(i);
}

}  // namespace fathom::kernels::cuda
