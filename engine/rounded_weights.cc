#include "engine/rounded_weights.h"

namespace fathom::engine {

RoundedWeights round_weights(const kernels::Stream& stream, const Weights& weights) {
  RoundedWeights rounded{weights, {}};
  for_each_tensor(rounded.weights, [&](Tensor& tensor, WeightKind kind) {
    if (kind == WeightKind::kRouter || tensor.dtype == kernels::Dtype::kBF16 ||
        kernels::is_quantised(tensor.dtype)) {
      return;
    }
    const size_t bytes = static_cast<size_t>(tensor.elements()) * kernels::dtype_bytes(kernels::Dtype::kBF16);
    Tensor copy = tensor;
    copy.dtype = kernels::Dtype::kBF16;
    copy.data = rounded.buffers.emplace_back(stream.space, bytes).scratch().data;
    kernels::convert(stream, {.from = tensor, .to = copy});
    tensor = copy;
  });
  return rounded;
}

}  // namespace fathom::engine
