// The arithmetic of --compute: each implementation against a scalar twin that has the same roundings, bit for
// bit.
#include "kernels/cpu/products.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "kernels/cpu/products_int8.h"
#include "kernels/cpu/self_check.h"
#include "kernels/cpu/targets.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/compare.h"
#include "tests/kernels/quantised_matrix.h"

// Behind the instruction sets that the kernels are compiled for.
#include <hwy/targets.h>

namespace fathom::kernels {
namespace {

std::vector<float> multiply(Compute compute, const Tensor& x, const Tensor& weight, int n_threads = 2) {
  TestStream stream(n_threads);
  const Buffer scratch(Space::kCpu, linear_scratch_bytes(stream, compute, x.shape[0], x.shape[1]));
  Array out(Dtype::kF32, {x.shape[0], weight.shape[0]});
  linear(stream,
         {.x = x, .weight = weight, .out = out.tensor(), .compute = compute, .scratch = scratch.scratch()});
  return {out.values().begin(), out.values().end()};
}

float to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000u;
  std::memcpy(&x, &bits, 4);
  return x;
}

// 16 lanes, in each the odd number of a pair first; then the tree.
float bf16_twin(const float* x, const float* w, int64_t k) {
  float lanes[16] = {};
  for (int64_t i = 0; i < k; i += 32) {
    for (int64_t l = 0; l < 16; ++l) {
      for (const int64_t at : {i + 2 * l + 1, i + 2 * l}) {
        if (at < k) lanes[l] = std::fma(to_bf16(x[at]), to_bf16(w[at]), lanes[l]);
      }
    }
  }
  for (const int half : {8, 4, 2, 1}) {
    for (int l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

// w stands for codes times bf16 scales of groups; the codes come back exactly.
float int8_twin(const float* x, const QuantisedMatrix& w, int64_t row, int64_t k, int64_t group) {
  float y = 0;
  for (int64_t begin = 0; begin < k; begin += group) {
    const int64_t end = std::min(k, begin + group);
    float max = 0;
    for (int64_t i = begin; i < end; ++i) max = std::max(max, std::fabs(x[i]));
    int64_t sum = 0;
    for (int64_t i = begin; i < end; ++i)
      sum += static_cast<int64_t>(std::nearbyint(x[i] * (127.0f / max))) * w.code(row, i);
    y = std::fma(static_cast<float>(sum), max / 127.0f * w.scale(row, begin), y);
  }
  return y;
}

class ComputeBf16 : public ::testing::Test {
  void SetUp() override {
    if (const auto refusal = compute_refusal(Space::kCpu, Compute::kBF16)) GTEST_SKIP() << *refusal;
  }
};

TEST_F(ComputeBf16, HasTheBitsOfItsScalarTwinInEveryFormatWhateverTheRows) {
  Random random(1);
  for (const auto& [k, n] : {std::pair<int64_t, int64_t>{1, 1}, {31, 3}, {64, 9}, {200, 25}, {264, 70}}) {
    const Array x = Array::uniform(random, Dtype::kF32, {40, k});
    const auto check = [&](const Tensor& weight, const std::vector<double>& values, Dtype dtype) {
      std::vector<float> expected, w(values.begin(), values.end());
      for (int64_t t = 0; t < 40; ++t) {
        for (int64_t c = 0; c < n; ++c)
          expected.push_back(bf16_twin(x.values().data() + t * k, w.data() + c * k, k));
      }
      for (int64_t t : {1, 2, 3, 5, 6, 13, 40}) {
        EXPECT_TRUE(same_bits(multiply(Compute::kBF16, x.tensor().rows(40 - t, 40), weight, 1 + t % 3),
                              std::span(expected).last(static_cast<size_t>(t * n))))
            << t << " x " << k << " x " << n << " " << dtype_name(dtype);
      }
    };
    for (Dtype dtype : kWeightDtypes) {
      const Array w = Array::uniform(random, dtype, {n, k});
      check(w.tensor(), w.doubles(), dtype);
    }
    for (Dtype dtype : kQuantisedDtypes) {
      if (dtype == Dtype::kI4 && k % 8 != 0) continue;
      const QuantisedMatrix w(random, dtype, n, k, 32, dtype == Dtype::kF8E4M3 ? 16 : 1);
      check(w.tensor(), w.values().doubles(), dtype);
    }
  }
}

TEST_F(ComputeBf16, ANanStaysInItsRow) {
  Random random(2);
  Array x = Array::uniform(random, Dtype::kF32, {8, 70});
  x.floats()[3 * 70 + 5] = std::numeric_limits<float>::quiet_NaN();
  const Array w = Array::uniform(random, Dtype::kBF16, {5, 70});
  const std::vector<float> y = multiply(Compute::kBF16, x.tensor(), w.tensor());
  for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 5 == 3);
}

TEST(ComputeInt8, EveryImplementationHasTheBitsOfTheScalarTwinWhateverTheRows) {
  for (const cpu::Products* products : cpu::products_int8()) {
    if (!products->supported()) continue;
    SCOPED_TRACE(products->name);
    Random random(3);
    for (const auto& [k, n] : {std::pair<int64_t, int64_t>{8, 1}, {104, 9}, {256, 70}, {200, 130}}) {
      for (Dtype dtype : {Dtype::kI8, Dtype::kI4}) {
        for (const int64_t group : {32, 64, 128}) {
          const int64_t odd_k = dtype == Dtype::kI8 ? k - 3 : k;
          const QuantisedMatrix w(random, dtype, n, odd_k, group);
          const Array x = Array::uniform(random, Dtype::kF32, {17, odd_k}, -3, 3);
          const size_t row_bytes = (products->row_bytes(odd_k) + 63) / 64 * 64;
          const Buffer rows(Space::kCpu, 17 * row_bytes);
          const Buffer panel(Space::kCpu, products->panel_bytes(odd_k));
          const void* prepared[17];
          for (int64_t t = 0; t < 17; ++t) {
            char* row = static_cast<char*>(rows.scratch().data) + static_cast<size_t>(t) * row_bytes;
            products->prepare(x.values().data() + t * odd_k, odd_k, group, row);
            prepared[t] = row;
          }
          for (const int64_t t : {1, 2, 3, 4, 6, 10, 17}) {
            std::vector<float> y(static_cast<size_t>(t * n));
            products->multiply({.x = prepared + 17 - t,
                                .n_rows = t,
                                .weight = w.tensor(),
                                .n_columns = n,
                                .panel = panel.scratch().data,
                                .y = y.data(),
                                .y_stride = n});
            for (int64_t i = 0; i < t * n; ++i) {
              ASSERT_EQ(y[static_cast<size_t>(i)],
                        int8_twin(x.values().data() + (17 - t + i / n) * odd_k, w, i % n, odd_k, group))
                  << t << " x " << odd_k << " x " << n << " " << dtype_name(dtype) << " group " << group;
            }
          }
        }
      }
    }
  }
}

TEST(ComputeInt8, ExtremeCodesDoNotSaturateAndBitsDoNotDependOnThreadsOrRows) {
  Random random(4);
  QuantisedMatrix w(random, Dtype::kI8, 100, 256, 128);
  for (size_t i = 0; i < w.codes().size(); ++i) w.codes()[i] = i % 512 < 256 ? 0x80 : 0x7F;
  Array x = Array::uniform(random, Dtype::kF32, {70, 256});
  for (int64_t i = 0; i < 256; ++i) x.floats()[i] = i % 2 == 0 ? 1.0f : -1.0f;
  for (int64_t i = 256; i < 512; ++i) x.floats()[i] = 1.0f;
  const std::vector<float> all = multiply(Compute::kI8, x.tensor(), w.tensor(), 1);
  for (int64_t r : {0, 1, 2}) {
    for (int64_t n = 0; n < 100; ++n) {
      EXPECT_EQ(all[static_cast<size_t>(r * 100 + n)],
                int8_twin(x.values().data() + r * 256, w, n, 256, 128));
    }
  }
  for (int64_t rows : {1, 5, 64}) {
    EXPECT_TRUE(same_bits(multiply(Compute::kI8, x.tensor().rows(70 - rows, 70), w.tensor(), 3),
                          std::span(all).last(static_cast<size_t>(rows * 100))));
  }
}

TEST(ComputeInt8, BlocksOfManyRowsHaveTheBitsOfTheirRowsAloneWithBiasAndSum) {
  Random random(8);
  const int64_t t = 500, k = 96, n = 150;
  const Array x = Array::uniform(random, Dtype::kF32, {t, k});
  const Array bias = Array::uniform(random, Dtype::kF32, {n});
  const Array before = Array::uniform(random, Dtype::kF32, {t, n});
  for (Dtype dtype : {Dtype::kI8, Dtype::kI4}) {
    const QuantisedMatrix w(random, dtype, n, k, 32);
    TestStream stream(3);
    const Buffer scratch(Space::kCpu, linear_scratch_bytes(stream, Compute::kI8, t, k));
    const auto run = [&](int64_t begin, int64_t end) {
      Array out = Array::of({before.values().begin() + begin * n, before.values().begin() + end * n},
                            {end - begin, n});
      linear(stream, {.x = x.tensor().rows(begin, end),
                      .weight = w.tensor(),
                      .bias = bias.tensor(),
                      .out = out.tensor(),
                      .accumulate = true,
                      .compute = Compute::kI8,
                      .scratch = scratch.scratch()});
      return std::vector<float>(out.values().begin(), out.values().end());
    };
    const std::vector<float> all = run(0, t);
    for (int64_t r : {0, 1, 59, 60, 191, 192, 239, 240, 498, 499}) {
      EXPECT_TRUE(same_bits(run(r, r + 1), std::span(all).subspan(static_cast<size_t>(r * n), n)))
          << "row " << r << " " << dtype_name(dtype);
    }
  }
}

TEST(ComputeInt8, NansInfinitiesAndZerosStayInTheirRow) {
  Random random(5);
  const QuantisedMatrix w(random, Dtype::kI4, 9, 64, 32);
  Array x = Array::uniform(random, Dtype::kF32, {6, 64});
  x.floats()[1 * 64 + 40] = std::numeric_limits<float>::quiet_NaN();
  x.floats()[3 * 64 + 2] = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < 64; ++i) x.floats()[5 * 64 + i] = 0.0f;
  const std::vector<float> y = multiply(Compute::kI8, x.tensor(), w.tensor());
  for (size_t i = 0; i < y.size(); ++i) {
    EXPECT_EQ(std::isnan(y[i]), i / 9 == 1 || i / 9 == 3);
    if (i / 9 == 5) {
      EXPECT_EQ(y[i], 0.0f);
    }
  }
}

TEST(ComputeInt8, PlainWeightsAreComputedInFp32) {
  Random random(6);
  const Array x = Array::uniform(random, Dtype::kF32, {3, 50});
  const Array w = Array::uniform(random, Dtype::kBF16, {7, 50});
  EXPECT_TRUE(same_bits(multiply(Compute::kI8, x.tensor(), w.tensor()),
                        multiply(Compute::kF32, x.tensor(), w.tensor())));
}

TEST(ComputeExperts, HaveTheBitsOfTheirProductsAloneWhateverTheRows) {
  for (Compute compute : {Compute::kI8, Compute::kBF16}) {
    if (compute_refusal(Space::kCpu, compute)) continue;
    Random random(7);
    const int64_t h = 96, m = 64, t = 70;
    const QuantisedMatrix gate(random, Dtype::kI8, m, h, 32), up(random, Dtype::kI8, m, h, 32),
        down(random, Dtype::kI8, h, m, 32);
    const Array x = Array::uniform(random, Dtype::kF32, {t, h});
    const Array ids(Dtype::kI32, {t, 1});
    const Array weights = Array::of(std::vector<float>(t, 1.0f), {t, 1});
    const std::vector<Tensor> g{gate.tensor()}, u{up.tensor()}, d{down.tensor()};
    TestStream stream;
    const Buffer scratch(Space::kCpu, expert_mlps_scratch_bytes(stream, {t, 1, 1, h, m, compute}));
    const auto run = [&](int64_t rows) {
      Array out(Dtype::kF32, {rows, h});
      expert_mlps(stream, {.x = x.tensor().rows(t - rows, t),
                           .experts = ids.tensor().rows(t - rows, t),
                           .weights = weights.tensor().rows(t - rows, t),
                           .gate = g,
                           .up = u,
                           .down = d,
                           .out = out.tensor(),
                           .compute = compute,
                           .scratch = scratch.scratch()});
      return std::vector<float>(out.values().begin(), out.values().end());
    };
    Array hidden = Array::of(multiply(compute, x.tensor(), gate.tensor()), {t, m});
    const Array up_out = Array::of(multiply(compute, x.tensor(), up.tensor()), {t, m});
    silu_mul(stream, {.gate = hidden.tensor(), .up = up_out.tensor()});
    const std::vector<float> expected = multiply(compute, hidden.tensor(), down.tensor());
    for (int64_t rows : {1, 7, 70}) {
      EXPECT_TRUE(same_bits(run(rows), std::span(expected).last(static_cast<size_t>(rows * h))))
          << compute_name(compute) << " " << rows;
    }
  }
}

// A set of products with one mistake, as a wrong shuffle on an unseen machine might make it.
void multiply_but_the_last_column(const cpu::ProductBlock& block) {
  cpu::kInt8Scalar.multiply(block);
  for (int64_t r = 0; r < block.n_rows; ++r) block.y[r * block.y_stride + block.n_columns - 1] *= 1.01f;
}

TEST(SelfCheck, PassesEverySoundSetHere) {
  EXPECT_EQ(cpu::check_products(cpu::products_fp32(), Compute::kF32), "");
  for (const cpu::Products* products : cpu::products_int8()) {
    EXPECT_EQ(products->supported() ? cpu::check_products(*products, Compute::kI8) : "", "");
  }
  for (const cpu::Products* products : cpu::products_bf16()) {
    EXPECT_EQ(products->supported() ? cpu::check_products(*products, Compute::kBF16) : "", "");
  }
}

TEST(SelfCheck, ABrokenSetIsPassedOverAndNamedWhenNothingIsLeft) {
  cpu::Products broken = cpu::kInt8Scalar;
  broken.name = "broken";
  broken.multiply = multiply_but_the_last_column;
  const cpu::Products* both[] = {&broken, &cpu::kInt8Scalar};
  EXPECT_EQ(cpu::select_products(both, Compute::kI8).products, &cpu::kInt8Scalar);
  const cpu::Products* alone[] = {&broken};
  const cpu::Selected none = cpu::select_products(alone, Compute::kI8);
  EXPECT_EQ(none.products, nullptr);
  EXPECT_NE(none.refusal.find("broken products gave"), std::string::npos) << none.refusal;
  broken.supported = [] { return false; };
  EXPECT_EQ(cpu::select_products(alone, Compute::kI8).refusal, "this machine lacks the instructions");
}

TEST(SelfCheck, AnInstructionSetThatFailsGivesWayToTheNext) {
  const std::string best = instruction_set(Space::kCpu);
  if (best == "SCALAR") GTEST_SKIP() << "the portable instruction set is the only one here";
  cpu::choose_instruction_set(
      [&] { return instruction_set(Space::kCpu) == best ? std::string("column 3 is wrong") : ""; });
  EXPECT_NE(instruction_set(Space::kCpu), best);
  try {
    cpu::choose_instruction_set([] { return std::string("column 3 is wrong"); });
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_NE(error.message().find(": column 3 is wrong"), std::string::npos) << error.message();
  }
  hwy::DisableTargets(0);
  EXPECT_EQ(instruction_set(Space::kCpu), best);
}

TEST(SelfCheck, EveryInstructionSetPasses) {
  on_every_instruction_set([] { EXPECT_EQ(cpu::check_products(cpu::products_fp32(), Compute::kF32), ""); });
}

}  // namespace
}  // namespace fathom::kernels
