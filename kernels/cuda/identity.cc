// What results of the CUDA kernels depend on, beside the device's architecture.
#include "kernels/cuda/cuda.h"

namespace fathom::kernels::cuda {

// Raise the number when any accumulation order or formula of a CUDA kernel changes: stored results tell their
// numerics apart by it.
std::string kernel_set() {
  return "cuda-2";
}

}  // namespace fathom::kernels::cuda
