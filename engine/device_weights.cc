#include "engine/device_weights.h"

#include "base/error.h"

namespace fathom::engine {

DeviceWeights upload_weights(const kernels::Stream& stream, const Weights& weights) {
  DeviceWeights copies{weights, {}};
  for_each_tensor(copies.weights, [&](Tensor& tensor, WeightKind) {
    if (kernels::is_quantised(tensor.dtype)) {
      throw Error(
          ErrorKind::kUsage,
          fmt::format("the model has {} weights, which have no CUDA kernels yet; use --device cpu, or the "
                      "model's bf16, fp16 or fp32 weights",
                      kernels::dtype_name(tensor.dtype)),
          "--device cuda");
    }
    const auto* bytes = static_cast<const std::byte*>(tensor.data);
    Tensor copy = tensor;
    copy.space = stream.space;
    copy.data = copies.buffers.emplace_back(stream.space, tensor.bytes()).scratch().data;
    kernels::upload(stream, {bytes, tensor.bytes()}, copy);
    tensor = copy;
  });
  return copies;
}

}  // namespace fathom::engine
