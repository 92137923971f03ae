// The kernels behind multiply_bf16, each at every number of rows: on an emulated device and on a real one.
#include <gtest/gtest.h>

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/product.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/compare.h"

namespace fathom::kernels::cuda {
namespace {

constexpr Bf16Kernel kKernels[] = {Bf16Kernel::k8x16, Bf16Kernel::k32x16, Bf16Kernel::k64x64,
                                   Bf16Kernel::k128x128};

struct Operands {
  Operands(Random& random, int64_t rows, int64_t k_in, int64_t n_in)
      : k(k_in),
        n(n_in),
        x(Array::uniform(random, Dtype::kF32, {rows, k})),
        weight(Array::uniform(random, Dtype::kBF16, {n, k})),
        bias(Array::uniform(random, Dtype::kF32, {n})) {}
  int64_t k, n;
  Array x, weight, bias;
};

/// out = 1 + x w + bias of the last rows.
std::vector<float> multiply_last(const Operands& o, int64_t rows, Bf16Kernel kernel) {
  TestStream stream;
  const int64_t all = o.x.size() / o.k;
  const Tensor x = o.x.tensor().rows(all - rows, all);
  const Buffer rounded(space_under_test(), static_cast<size_t>(rows * rounded_width(o.k)) * 2);
  auto* const to = static_cast<Bf16*>(rounded.scratch().data);
  round_rows(stream, static_cast<const float*>(x.data), rows, o.k, to);
  const Array out = Array::of(std::vector<float>(static_cast<size_t>(rows * o.n), 1.0f), {rows, o.n});
  multiply_bf16(stream,
                {.x = static_cast<const float*>(x.data),
                 .rounded = to,
                 .x_stride = o.k,
                 .dtype = Dtype::kBF16,
                 .weight = o.weight.tensor().data,
                 .bias = o.bias.tensor().data,
                 .out = static_cast<float*>(out.tensor().data),
                 .out_stride = o.n,
                 .accumulate = true,
                 .k = o.k,
                 .n_cols = o.n,
                 .n_rows = rows},
                kernel);
  return {out.values().begin(), out.values().end()};
}

TEST(ProductBf16, ARowHasTheSameBitsFromEveryKernelAtEveryNumberOfRows) {
  on_every_instruction_set([] {
    Random random(1);
    // K: within a segment, segments that end in half a chunk, an odd number of chunks, several steps of each.
    for (const auto& [k, n] : {std::pair<int64_t, int64_t>{8, 3}, {264, 40}, {808, 17}, {2080, 130}}) {
      const int64_t most = k == 2080 ? 130 : 70;
      const Operands o(random, most, k, n);
      const std::vector<float> all = multiply_last(o, most, Bf16Kernel::k8x16);
      for (Bf16Kernel kernel : kKernels) {
        for (int64_t rows : {1, 8, 9, 33, 64, 65, 130}) {
          if (rows > most) continue;
          EXPECT_TRUE(
              same_bits(multiply_last(o, rows, kernel), std::span(all).last(static_cast<size_t>(rows * n))))
              << rows << " x " << k << " x " << n << ", kernel " << static_cast<int>(kernel);
        }
      }
    }
  });
}

TEST(ProductBf16, EveryKernelAddsTheRightNumbers) {
  Random random(2);
  const Operands o(random, 66, 1000, 50);
  std::vector<double> expected;
  for (int64_t row = 0; row < 66; ++row) {
    for (int64_t col = 0; col < o.n; ++col) {
      double sum = 1.0 + o.bias.at(col);
      for (int64_t i = 0; i < o.k; ++i)
        sum += as_operand(Compute::kBF16, o.x.at(row * o.k + i)) * o.weight.at(col * o.k + i);
      expected.push_back(sum);
    }
  }
  for (Bf16Kernel kernel : kKernels)
    EXPECT_EQ(differences(multiply_last(o, 66, kernel), expected, {.absolute = 1e-4}), "")
        << static_cast<int>(kernel);
}

TEST(ProductBf16, PassTheCheckOfTheStartAndInt8IsRefused) {
  EXPECT_EQ(check_bf16_products(), "");
  EXPECT_EQ(compute_refusal(Space::kCuda, Compute::kBF16), std::nullopt);
  EXPECT_EQ(compute_refusal(Space::kCuda, Compute::kF32), std::nullopt);
  EXPECT_NE(compute_refusal(Space::kCuda, Compute::kI8), std::nullopt);
}

TEST(ProductBf16, TheKernelIsChosenByRowsAndByWhetherItsBlocksFillADevice) {
  const auto chosen = [](int64_t rows, int64_t k, int64_t n, Dtype dtype = Dtype::kBF16) {
    return bf16_kernel({.dtype = dtype, .k = k, .n_cols = n, .n_rows = rows});
  };
  EXPECT_EQ(chosen(1, 2048, 3072), Bf16Kernel::k8x16);
  EXPECT_EQ(chosen(8, 2048, 3072), Bf16Kernel::k8x16);
  EXPECT_EQ(chosen(9, 2048, 3072), Bf16Kernel::k32x16);
  EXPECT_EQ(chosen(64, 2048, 576), Bf16Kernel::k32x16);
  EXPECT_EQ(chosen(64, 2048, 10944), Bf16Kernel::k64x64);
  EXPECT_EQ(chosen(256, 2048, 2048), Bf16Kernel::k64x64);
  EXPECT_EQ(chosen(2048, 2048, 2048), Bf16Kernel::k128x128);
  EXPECT_EQ(chosen(2048, 2044, 2048), Bf16Kernel::k32x16);  // rows of weights that 16-byte loads cannot read
  EXPECT_EQ(chosen(2048, 2048, 2048, Dtype::kF16), Bf16Kernel::k32x16);
}

}  // namespace
}  // namespace fathom::kernels::cuda
