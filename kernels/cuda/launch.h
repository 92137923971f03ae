// launch<Kernel>: runs a kernel on a grid of blocks, on the device or in emulation (simt.h), and checks the
// launch.
#pragma once

#include "kernels/cuda/runtime.h"
#include "kernels/cuda/simt.h"
#include "kernels/kernels.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>
#endif

namespace fathom::kernels::cuda {

#ifdef __CUDACC__

template <typename Kernel>
__global__ void __launch_bounds__(Kernel::kThreads)
    entry(const __grid_constant__ typename Kernel::Params params) {
  extern __shared__ __align__(16) char shared[];
  Kernel::run(Simt(shared), params);
}

#endif

/// A grid without blocks is no work. Throws Error{kEngine} when the launch is refused.
template <typename Kernel>
void launch(const Stream& stream, const GridSize& grid, size_t shared_bytes,
            const typename Kernel::Params& params) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  check_launch_size(Kernel::kName, grid, shared_bytes);
#ifdef __CUDACC__
  if (shared_bytes > kPlainSharedBytes) {
    static const cudaError_t allowed = cudaFuncSetAttribute(
        entry<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(kMaxSharedBytes));
    require(allowed == cudaSuccess, "the device gives a block less than 96 KiB of shared memory");
  }
  const dim3 blocks(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y),
                    static_cast<unsigned>(grid.z));
  entry<Kernel><<<blocks, Kernel::kThreads, shared_bytes, static_cast<cudaStream_t>(stream.device)>>>(params);
  check_launched(Kernel::kName);
#else
  static_cast<void>(stream);
  static uint64_t n_launches = 0;
  ++n_launches;
  emulation::Block& block = emulation::Block::of(Kernel::kThreads);
  const int64_t n = grid.x * grid.y * grid.z;
  const emulation::Permutation order(n, n_launches);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = order[i];
    const emulation::BlockIndex index{at % grid.x, at / grid.x % grid.y, at / grid.x / grid.y, grid.x};
    block.run(shared_bytes, [&](int thread) { Kernel::run(Simt(block, index, thread), params); });
  }
#endif
}

}  // namespace fathom::kernels::cuda
