// RMSNorm of one row by one block, shared by rms_norm and write_latents.
#pragma once

#include "kernels/cuda/numbers.h"
#include "kernels/cuda/reduce.h"

namespace fathom::kernels::cuda {

struct NormWeight {
  const void* data;
  Dtype dtype;
  float eps;
};

/// out = weight * (x / sqrt(mean(x^2) + eps)). Thread t adds the squares of t, t + kRowThreads, ... by fma,
/// then block_reduce. Uses kRowWarps floats of shared memory; x may be out.
FATHOM_DEVICE inline void rms_norm_row(const Simt& simt, const float* x, const NormWeight& weight, float* out,
                                       int64_t n) {
  float squares = 0.0f;
  for (int64_t i = simt.thread(); i < n; i += kRowThreads) squares = fmaf(x[i], x[i], squares);
  const float mean = block_reduce(simt, squares, Sum(), simt.shared<float>()) / static_cast<float>(n);
  const float scale = 1.0f / sqrtf(mean + weight.eps);
  for (int64_t i = simt.thread(); i < n; i += kRowThreads) {
    out[i] = load_as(weight.data, weight.dtype, i) * (x[i] * scale);
  }
}

}  // namespace fathom::kernels::cuda
