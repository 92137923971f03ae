// From the dtype of a weight to the type of its elements.
#pragma once

#include "kernels/cuda/numbers.h"
#include "kernels/cuda/runtime.h"

namespace fathom::kernels::cuda {

/// Whether a kernel can read such weights: fp32, bf16 or fp16. The quantised formats of the CPU have no
/// kernels here.
inline bool readable_weight(Dtype dtype) {
  return dtype == Dtype::kF32 || dtype == Dtype::kBF16 || dtype == Dtype::kF16;
}

/// body(a null pointer to the element type).
template <typename Body>
void with_weight_type(Dtype dtype, const Body& body) {
  require(readable_weight(dtype), "CUDA kernels read F32, BF16 and F16 weights");
  if (dtype == Dtype::kF32) return body(static_cast<const float*>(nullptr));
  if (dtype == Dtype::kBF16) return body(static_cast<const Bf16*>(nullptr));
  body(static_cast<const F16*>(nullptr));
}

}  // namespace fathom::kernels::cuda
