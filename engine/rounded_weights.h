// Weights rounded to bf16: what --dtype bf16 computes with.
#pragma once

#include <vector>

#include "engine/weights.h"
#include "kernels/buffer.h"
#include "kernels/kernels.h"

namespace fathom::engine {

/// --dtype: the precision of the weights. Activations, accumulation and the cache are fp32 in either case.
enum class WeightDtype {
  kF32,   ///< as stored, widened to fp32 in registers
  kBF16,  ///< rounded to bf16 (nearest even), but for quantised matrices and the router, which both
          ///< references keep in fp32
};

/// Views of the rounded weights and the memory behind them. Tensors that need no rounding stay where they
/// are.
struct RoundedWeights {
  Weights weights;
  std::vector<kernels::Buffer> buffers;  // empty when every tensor was bf16 already
};
RoundedWeights round_weights(const kernels::Stream& stream, const Weights& weights);

}  // namespace fathom::engine
