#include <gtest/gtest.h>

#include <limits>

#include "kernels/kernels.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/compare.h"

namespace fathom::kernels {
namespace {

struct Case {
  int64_t t, k, n;
};

struct Operands {
  Operands(Random& random, const Case& c, Dtype dtype)
      : x(Array::uniform(random, Dtype::kF32, {c.t, c.k})),
        weight(Array::uniform(random, dtype, {c.n, c.k})),
        bias(Array::uniform(random, dtype, {c.n})),
        out(Array::uniform(random, Dtype::kF32, {c.t, c.n})) {}
  Array x, weight, bias, out;
};

std::vector<double> twin(const Case& c, const Operands& o, bool with_bias, bool accumulate,
                         Compute compute = Compute::kF32) {
  const auto seen = [&](const Array& array) {
    std::vector<double> values = array.doubles();
    for (double& value : values) value = as_operand(compute, value);
    return values;
  };
  const std::vector<double> x = seen(o.x), weight = seen(o.weight);
  std::vector<double> y(static_cast<size_t>(c.t * c.n));
  for (int64_t t = 0; t < c.t; ++t) {
    for (int64_t n = 0; n < c.n; ++n) {
      double sum = 0.0;
      for (int64_t k = 0; k < c.k; ++k)
        sum += x[static_cast<size_t>(t * c.k + k)] * weight[static_cast<size_t>(n * c.k + k)];
      if (with_bias) sum += o.bias.at(n);
      y[static_cast<size_t>(t * c.n + n)] = accumulate ? o.out.at(t * c.n + n) + sum : sum;
    }
  }
  return y;
}

void multiply(const Stream& stream, Linear args) {
  const Buffer scratch(space_under_test(),
                       linear_scratch_bytes(stream, args.compute, args.x.shape[0], args.x.shape[1]));
  args.scratch = scratch.scratch();
  linear(stream, args);
}

TEST(Linear, MatchesItsScalarTwinAtOddShapesInEveryDtype) {
  on_every_instruction_set([] {
    Random random(1);
    TestStream stream;
    for (int64_t t : {1, 2, 3, 4, 5, 7, 8, 67}) {
      for (const auto& [k, n] : {std::pair<int64_t, int64_t>{1, 1},
                                 {3, 2},
                                 {8, 3},
                                 {9, 8},
                                 {64, 25},
                                 {100, 50},
                                 {257, 101},
                                 {1100, 9}}) {
        for (Dtype dtype : kWeightDtypes) {
          for (Compute compute : plain_computes()) {
            const Case c{t, k, n};
            Operands o(random, c, dtype);
            const bool with_bias = random.integer(0, 1) == 1;
            const bool accumulate = random.integer(0, 1) == 1;
            const std::vector<double> expected = twin(c, o, with_bias, accumulate, compute);
            multiply(stream, {.x = o.x.tensor(),
                              .weight = o.weight.tensor(),
                              .bias = with_bias ? o.bias.tensor() : Tensor(),
                              .out = o.out.tensor(),
                              .accumulate = accumulate,
                              .compute = compute});
            EXPECT_EQ(
                differences(o.out.values(), expected, {.absolute = 2e-6 + 1e-7 * static_cast<double>(k)}), "")
                << t << " x " << k << " x " << n << " " << dtype_name(dtype) << " " << compute_name(compute);
          }
        }
      }
    }
  });
}

TEST(Linear, ARowsBitsDoNotDependOnTheOtherRowsOrTheThreads) {
  on_every_instruction_set([] {
    Random random(2);
    const Case c{130, 1203, 71};  // K: more than the piece of the packed product
    for (Dtype dtype : kWeightDtypes) {
      for (Compute compute : plain_computes()) {
        Operands o(random, c, dtype);
        TestStream one(1);
        multiply(one,
                 {.x = o.x.tensor(), .weight = o.weight.tensor(), .out = o.out.tensor(), .compute = compute});
        const std::vector<float> all(o.out.values().begin(), o.out.values().end());
        for (int n_threads : {1, 2, 3, 4}) {
          if (n_threads > 1 && space_under_test() != Space::kCpu) continue;
          TestStream stream(n_threads);
          for (int64_t rows : {1, 2, 3, 7, 8, 33, 64, 65, 130}) {
            const int64_t begin = random.integer(0, c.t - rows);
            Array part(Dtype::kF32, {rows, c.n});
            multiply(stream, {.x = o.x.tensor().rows(begin, begin + rows),
                              .weight = o.weight.tensor(),
                              .out = part.tensor(),
                              .compute = compute});
            EXPECT_TRUE(same_bits(part.values(), std::span(all).subspan(static_cast<size_t>(begin * c.n),
                                                                        static_cast<size_t>(rows * c.n))))
                << rows << " rows from " << begin << ", " << n_threads << " threads, " << dtype_name(dtype)
                << " " << compute_name(compute);
          }
        }
      }
    }
  });
}

TEST(Linear, NansAndInfinitiesStayInTheirRow) {
  Random random(3);
  TestStream stream;
  for (int64_t k : {40, 41}) {
    const Case c{9, k, 30};
    Operands o(random, c, Dtype::kBF16);
    o.x.floats()[4 * k] = std::numeric_limits<float>::quiet_NaN();
    o.x.floats()[6 * k + 3] = std::numeric_limits<float>::infinity();
    for (Compute compute : plain_computes()) {
      const std::vector<double> expected = twin(c, o, false, false, compute);
      multiply(stream,
               {.x = o.x.tensor(), .weight = o.weight.tensor(), .out = o.out.tensor(), .compute = compute});
      EXPECT_EQ(differences(o.out.values(), expected, {.absolute = 1e-5}), "")
          << k << " " << compute_name(compute);
    }
  }
}

TEST(Linear, NoRowsIsNoWork) {
  Random random(4);
  TestStream stream;
  Array weight = Array::uniform(random, Dtype::kF32, {3, 5});
  multiply(stream, {.x = Array(Dtype::kF32, {0, 5}).tensor(),
                    .weight = weight.tensor(),
                    .out = Array(Dtype::kF32, {0, 3}).tensor()});
}

TEST(LinearDeathTest, ABrokenShapeIsABug) {
  Random random(5);
  TestStream stream(1);
  Operands o(random, {2, 4, 3}, Dtype::kF32);
  EXPECT_DEATH(multiply(stream, {.x = o.x.tensor(), .weight = o.x.tensor(), .out = o.out.tensor()}),
               "linear out");
}

}  // namespace
}  // namespace fathom::kernels
