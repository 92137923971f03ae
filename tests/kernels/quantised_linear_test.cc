// A product over a quantised matrix has the bits of the product over the fp32 numbers that it stands for,
// which linear_test.cc and experts_test.cc hold against scalar twins.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/kernels.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/compare.h"
#include "tests/kernels/quantised_matrix.h"

namespace fathom::kernels {
namespace {

std::vector<float> multiply(const Tensor& x, const Tensor& weight, int n_threads = 2) {
  TestStream stream(n_threads);
  Buffer scratch(Space::kCpu, linear_scratch_bytes(stream, Compute::kF32, x.shape[0], x.shape[1]));
  Array out(Dtype::kF32, {x.shape[0], weight.shape[0]});
  linear(stream, {.x = x, .weight = weight, .out = out.tensor(), .scratch = scratch.scratch()});
  return {out.values().begin(), out.values().end()};
}

struct Shape {
  int64_t k, n, columns, rows;
};

TEST(QuantisedLinear, HasTheBitsOfTheNumbersItStandsForWhateverTheRows) {
  on_every_instruction_set([] {
    Random random(1);
    for (const Shape& s :
         {Shape{8, 3, 32, 1}, {48, 25, 32, 1}, {104, 50, 32, 1}, {256, 101, 128, 1}, {264, 30, 64, 1}}) {
      for (Dtype dtype : kQuantisedDtypes) {
        const bool fp8 = dtype == Dtype::kF8E4M3;
        const int64_t k = dtype == Dtype::kI4 ? s.k : s.k - 3;
        const QuantisedMatrix w(random, dtype, s.n, k, fp8 ? 128 : s.columns, fp8 ? 16 : 1);
        const Array x = Array::uniform(random, Dtype::kF32, {67, k});
        const std::vector<float> expected = multiply(x.tensor(), w.values().tensor());
        for (int64_t t : {1, 2, 3, 4, 6, 7, 12, 17, 67}) {
          EXPECT_TRUE(same_bits(multiply(x.tensor().rows(67 - t, 67), w.tensor(), 1 + t % 3),
                                std::span(expected).last(static_cast<size_t>(t * s.n))))
              << t << " x " << k << " x " << s.n << " " << dtype_name(dtype);
        }
      }
    }
  });
}

TEST(QuantisedLinear, EveryE4M3CodeHasItsValueAndTheTwoNansAreNan) {
  on_every_instruction_set([] {
    Random random(2);
    QuantisedMatrix w(random, Dtype::kF8E4M3, 256, 1, 128, 256);
    for (int code = 0; code < 256; ++code) w.codes()[static_cast<size_t>(code)] = static_cast<uint8_t>(code);
    float scale;
    std::memcpy(&scale, w.tensor().scales.data, 4);
    const Array one = Array::of({1.0f}, {1, 1});
    const std::vector<float> y = multiply(one.tensor(), w.tensor());
    for (int code = 0; code < 256; ++code) {
      const double expected = e4m3_value(static_cast<uint8_t>(code));
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(y[static_cast<size_t>(code)])) << code;
      } else {
        EXPECT_EQ(y[static_cast<size_t>(code)], static_cast<float>(expected) * scale) << code;
      }
    }
  });
}

TEST(QuantisedExperts, HaveTheBitsOfTheNumbersTheyStandFor) {
  on_every_instruction_set([] {
    Random random(3);
    const int64_t n_experts = 4, h = 72, m = 40, t = 61, k = 2;
    for (Dtype dtype : kQuantisedDtypes) {
      std::vector<QuantisedMatrix> matrices;
      for (int64_t e = 0; e < n_experts; ++e) {
        const int64_t rows = dtype == Dtype::kF8E4M3 ? 16 : 1;
        matrices.emplace_back(random, dtype, m, h, 32, rows);
        matrices.emplace_back(random, dtype, m, h, 32, rows);
        matrices.emplace_back(random, dtype, h, m, 32, rows);
      }
      const Array x = Array::uniform(random, Dtype::kF32, {t, h});
      Array ids(Dtype::kI32, {t, k});
      for (int64_t i = 0; i < t; ++i) {
        ids.ints()[2 * i] = static_cast<int32_t>(random.integer(0, 1));
        ids.ints()[2 * i + 1] = static_cast<int32_t>(random.integer(2, 3));
      }
      const Array weights = Array::uniform(random, Dtype::kF32, {t, k}, 0.1, 1.0);
      TestStream stream;
      const Buffer scratch(Space::kCpu, expert_mlps_scratch_bytes(stream, {t, n_experts, k, h, m}));
      const auto run = [&](bool quantised) {
        std::vector<Tensor> all[3];
        for (size_t i = 0; i < matrices.size(); ++i) {
          all[i % 3].push_back(quantised ? matrices[i].tensor() : matrices[i].values().tensor());
        }
        Array out(Dtype::kF32, {t, h});
        expert_mlps(stream, {.x = x.tensor(),
                             .experts = ids.tensor(),
                             .weights = weights.tensor(),
                             .gate = all[0],
                             .up = all[1],
                             .down = all[2],
                             .out = out.tensor(),
                             .scratch = scratch.scratch()});
        return std::vector<float>(out.values().begin(), out.values().end());
      };
      EXPECT_TRUE(same_bits(run(true), run(false))) << dtype_name(dtype);
    }
  });
}

TEST(QuantisedLinearDeathTest, AMatrixWithoutScalesIsABug) {
  Random random(4);
  const QuantisedMatrix w(random, Dtype::kI8, 4, 32, 32);
  const Array x = Array::uniform(random, Dtype::kF32, {1, 32});
  Tensor bare = w.tensor();
  bare.scales = {};
  EXPECT_DEATH(multiply(x.tensor(), bare), "linear weight");
}

TEST(Tensor, RowsOfAQuantisedMatrixTakeTheirScalesAlong) {
  Random random(5);
  for (Dtype dtype : kQuantisedDtypes) {
    const int64_t rows = dtype == Dtype::kF8E4M3 ? 4 : 1;
    const QuantisedMatrix w(random, dtype, 12, 64, 32, rows);
    const Array x = Array::uniform(random, Dtype::kF32, {1, 64});
    EXPECT_TRUE(same_bits(multiply(x.tensor(), w.tensor().rows(8, 11)),
                          multiply(x.tensor(), w.values().tensor().rows(8, 11))));
  }
}

}  // namespace
}  // namespace fathom::kernels
