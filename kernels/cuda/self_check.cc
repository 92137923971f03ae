// The check of the tensor cores' products on the device at hand.
#include <cstring>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/cpu/check_multiply.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/product.h"
#include "kernels/cuda/runtime.h"
#include "kernels/device.h"

namespace fathom::kernels::cuda {
namespace {

/// x [n_rows, K] times `weight` [N, K] in host memory, by one kernel: [n_rows, N].
std::vector<float> multiply_there(const Stream& stream, Bf16Kernel kernel, const float* x, int64_t n_rows,
                                  const Tensor& weight) {
  const int64_t n = weight.shape[0], k = weight.shape[1];
  const Buffer weight_there(Space::kCuda, weight.bytes());
  const Buffer x_there(Space::kCuda, static_cast<size_t>(n_rows * k) * sizeof(float));
  const Buffer rounded(Space::kCuda, static_cast<size_t>(n_rows * rounded_width(k)) * sizeof(Bf16));
  const Buffer out(Space::kCuda, static_cast<size_t>(n_rows * n) * sizeof(float));
  upload(stream, {static_cast<const std::byte*>(weight.data), weight.bytes()},
         weight_there.tensor(weight.dtype, {n, k}));
  upload(stream, std::as_bytes(std::span(x, static_cast<size_t>(n_rows * k))),
         x_there.tensor(Dtype::kF32, {n_rows, k}));
  const auto* rows = static_cast<const float*>(x_there.scratch().data);
  auto* rounded_rows = static_cast<Bf16*>(rounded.scratch().data);
  round_rows(stream, rows, n_rows, k, rounded_rows);
  multiply_bf16(stream,
                {.x = rows,
                 .rounded = rounded_rows,
                 .x_stride = k,
                 .dtype = weight.dtype,
                 .weight = weight_there.scratch().data,
                 .out = static_cast<float*>(out.scratch().data),
                 .out_stride = n,
                 .k = k,
                 .n_cols = n,
                 .n_rows = n_rows},
                kernel);
  std::vector<float> y(static_cast<size_t>(n_rows * n));
  download(stream, out.tensor(Dtype::kF32, {n_rows, n}), std::as_writable_bytes(std::span(y)));
  return y;
}

}  // namespace

std::string check_bf16_products() {
  const OwnedStream stream(Space::kCuda, nullptr);
  for (const Dtype dtype : {Dtype::kBF16, Dtype::kF32, Dtype::kF16}) {
    std::vector<Bf16Kernel> kernels = {Bf16Kernel::k8x16, Bf16Kernel::k32x16};
    if (dtype == Dtype::kBF16) kernels.insert(kernels.end(), {Bf16Kernel::k64x64, Bf16Kernel::k128x128});
    bool same_bits = true;
    for (const Bf16Kernel kernel : kernels) {
      const std::string name =
          device_name() + "'s bf16 (tiles of " + std::to_string(tile_rows(kernel)) + " rows)";
      const std::string wrong = cpu::check_multiply(
          name, Compute::kBF16, dtype, [&](const float* x, int64_t n_rows, const Tensor& weight, float* y) {
            const std::vector<float> found = multiply_there(stream.stream(), kernel, x, n_rows, weight);
            const std::vector<float> first = multiply_there(stream.stream(), kernels[0], x, n_rows, weight);
            same_bits &= std::memcmp(found.data(), first.data(), found.size() * sizeof(float)) == 0;
            std::memcpy(y, found.data(), found.size() * sizeof(float));
          });
      if (!wrong.empty()) return wrong;
      if (!same_bits) return name + " products differ in bits from those of tiles of 8 rows";
    }
  }
  return "";
}

}  // namespace fathom::kernels::cuda
