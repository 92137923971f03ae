#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "kernels/kernels.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/compare.h"

namespace fathom::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(GatherRows, WidensTheChosenRowsExactly) {
  on_every_instruction_set([] {
    Random random(1);
    TestStream stream;
    for (Dtype dtype : kWeightDtypes) {
      for (int64_t width : {1, 7, 8, 33}) {
        Array table = Array::uniform(random, dtype, {5, width});
        Array rows = Array::of_ints({4, 0, 0, 3}, {4});
        Array out(Dtype::kF32, {4, width});
        gather_rows(stream, {.table = table.tensor(), .rows = rows.tensor(), .out = out.tensor()});
        for (int64_t t = 0; t < 4; ++t) {
          for (int64_t i = 0; i < width; ++i) {
            EXPECT_EQ(out.at(t * width + i), table.at(rows.int_values()[static_cast<size_t>(t)] * width + i));
          }
        }
      }
    }
  });
}

TEST(Convert, RoundsToTheNearestBf16AndTiesToEven) {
  on_every_instruction_set([] {
    TestStream stream;
    const std::pair<uint32_t, uint16_t> cases[] = {
        {0x3F800000, 0x3F80}, {0x3F807FFF, 0x3F80}, {0x3F808000, 0x3F80}, {0x3F808001, 0x3F81},
        {0x3F818000, 0x3F82}, {0xBF818000, 0xBF82}, {0x7F7FFFFF, 0x7F80}, {0x7F800000, 0x7F80},
        {0xFF800000, 0xFF80}, {0x00000001, 0x0000}, {0x80000000, 0x8000}};
    std::vector<float> from;
    for (const auto& [bits, rounded] : cases) from.push_back(std::bit_cast<float>(bits));
    Array to(Dtype::kBF16, {static_cast<int64_t>(from.size())});
    convert(stream,
            {.from = Array::of(from, {static_cast<int64_t>(from.size())}).tensor(), .to = to.tensor()});
    for (size_t i = 0; i < from.size(); ++i) {
      EXPECT_EQ(to.at(static_cast<int64_t>(i)),
                std::bit_cast<float>(static_cast<uint32_t>(cases[i].second) << 16))
          << i;
    }
    Array nan(Dtype::kBF16, {1});
    convert(stream,
            {.from = Array::of({std::bit_cast<float>(0x7F800001u)}, {1}).tensor(), .to = nan.tensor()});
    EXPECT_TRUE(std::isnan(nan.at(0)));
  });
}

TEST(Convert, WideningIsExact) {
  Random random(2);
  TestStream stream;
  for (Dtype dtype : kWeightDtypes) {
    Array from = Array::uniform(random, dtype, {3, 37});
    Array to(Dtype::kF32, {3, 37});
    convert(stream, {.from = from.tensor(), .to = to.tensor()});
    EXPECT_EQ(to.doubles(), from.doubles());
  }
}

TEST(RmsNorm, MatchesItsScalarTwinWithAndWithoutTheResidual) {
  on_every_instruction_set([] {
    Random random(3);
    TestStream stream;
    for (Dtype dtype : kWeightDtypes) {
      for (int64_t n : {1, 5, 8, 31, 512, 1000}) {
        for (bool with_add : {false, true}) {
          const int64_t rows = random.integer(1, 40);
          Array x = Array::uniform(random, Dtype::kF32, {rows, n}, -3, 3);
          Array delta = Array::uniform(random, Dtype::kF32, {rows, n});
          Array weight = Array::uniform(random, dtype, {n}, 0.5, 1.5);
          Array out(Dtype::kF32, {rows, n});
          std::vector<double> sums = x.doubles();
          std::vector<double> expected(sums.size());
          for (int64_t t = 0; t < rows; ++t) {
            double squares = 0.0;
            for (int64_t i = 0; i < n; ++i) {
              double& v = sums[static_cast<size_t>(t * n + i)];
              if (with_add) v = static_cast<float>(v) + static_cast<float>(delta.at(t * n + i));
              squares += v * v;
            }
            const double scale = 1.0 / std::sqrt(squares / static_cast<double>(n) + 1e-3);
            for (int64_t i = 0; i < n; ++i)
              expected[static_cast<size_t>(t * n + i)] =
                  weight.at(i) * sums[static_cast<size_t>(t * n + i)] * scale;
          }
          rms_norm(stream, {.x = x.tensor(),
                            .add = with_add ? delta.tensor() : Tensor(),
                            .weight = weight.tensor(),
                            .eps = 1e-3f,
                            .out = out.tensor()});
          EXPECT_EQ(differences(out.values(), expected, {.absolute = 1e-6, .relative = 1e-6}), "") << n;
          EXPECT_EQ(x.doubles(), sums) << "the residual stream";
        }
      }
    }
  });
}

TEST(RmsNorm, MayWriteOverItsInput) {
  Random random(4);
  TestStream stream;
  Array x = Array::uniform(random, Dtype::kF32, {3, 20});
  Array weight = Array::uniform(random, Dtype::kF32, {20});
  Array out(Dtype::kF32, {3, 20});
  rms_norm(stream, {.x = x.tensor(), .weight = weight.tensor(), .eps = 1e-6f, .out = out.tensor()});
  rms_norm(stream, {.x = x.tensor(), .weight = weight.tensor(), .eps = 1e-6f, .out = x.tensor()});
  EXPECT_TRUE(same_bits(x.values(), out.values()));
}

TEST(Add, AddsElementByElement) {
  Random random(5);
  TestStream stream;
  Array x = Array::uniform(random, Dtype::kF32, {300, 101});
  Array delta = Array::uniform(random, Dtype::kF32, {300, 101});
  std::vector<double> expected(static_cast<size_t>(x.size()));
  for (int64_t i = 0; i < x.size(); ++i) {
    expected[static_cast<size_t>(i)] =
        x.values()[static_cast<size_t>(i)] + delta.values()[static_cast<size_t>(i)];
  }
  add(stream, {.x = x.tensor(), .delta = delta.tensor()});
  EXPECT_EQ(x.doubles(), expected);
}

// Also the test of the kernels' e^x: silu(z) = z / (1 + e^-z) over its whole range.
TEST(SiluMul, MatchesItsScalarTwinOverTheWholeRange) {
  on_every_instruction_set([] {
    TestStream stream;
    std::vector<float> z;
    for (double v = -120.0; v <= 120.0; v += 0.0137) z.push_back(static_cast<float>(v));
    for (double v : {0.0, -0.0, 1e-30, -1e-30, 1e30, -1e30, 1e-3, -87.4, -88.9, -103.9, -104.1, 88.8, 89.1}) {
      z.push_back(static_cast<float>(v));
    }
    const int64_t n = static_cast<int64_t>(z.size());
    Array gate = Array::of(z, {1, n});
    Array up = Array::of(std::vector<float>(z.size(), 2.0f), {1, n});
    std::vector<double> expected;
    for (float v : z) expected.push_back(2.0 * v / (1.0 + std::exp(-static_cast<double>(v))));
    silu_mul(stream, {.gate = gate.tensor(), .up = up.tensor()});
    EXPECT_EQ(differences(gate.values(), expected, {.absolute = 1e-36, .relative = 5e-7}), "");
  });
}

TEST(SiluMul, NansPassThrough) {
  on_every_instruction_set([] {
    TestStream stream;
    Array gate = Array::of({kNan, 1.0f, kInf, -kInf}, {1, 4});
    Array up = Array::of({1.0f, kNan, 1.0f, 1.0f}, {1, 4});
    silu_mul(stream, {.gate = gate.tensor(), .up = up.tensor()});
    EXPECT_TRUE(std::isnan(gate.values()[0]));
    EXPECT_TRUE(std::isnan(gate.values()[1]));
    EXPECT_EQ(gate.values()[2], kInf);
    EXPECT_TRUE(std::isnan(gate.values()[3]));  // -inf / inf
  });
}

TEST(MarkNonFinite, FindsOneBadElementAnywhereAndOnlyThen) {
  on_every_instruction_set([] {
    Random random(6);
    TestStream stream;
    const int64_t n = 70001;
    for (float bad : {kNan, kInf, -kInf}) {
      for (int64_t at : {int64_t{0}, int64_t{65535}, int64_t{65536}, n - 1}) {
        Array x = Array::uniform(random, Dtype::kF32, {1, n}, -3e38, 3e38);
        Array flags = Array::of_ints({0, 0, 7}, {3});
        mark_non_finite(stream, {.x = x.tensor(), .flags = flags.tensor(), .index = 1});
        EXPECT_EQ(flags.int_values()[1], 0);
        x.floats()[at] = bad;
        mark_non_finite(stream, {.x = x.tensor(), .flags = flags.tensor(), .index = 1});
        EXPECT_EQ(flags.int_values()[0], 0);
        EXPECT_EQ(flags.int_values()[1], 1);
        EXPECT_EQ(flags.int_values()[2], 7);
      }
    }
  });
}

TEST(UploadDownload, MoveBytesBothWays) {
  TestStream stream;
  const std::vector<int32_t> sent = {1, 2, 3};
  std::vector<int32_t> received(2);
  Array array(Dtype::kI32, {5});
  upload(stream, std::as_bytes(std::span(sent)), array.tensor());
  download(stream, array.tensor().rows(1, 3), std::as_writable_bytes(std::span(received)));
  EXPECT_EQ(received, (std::vector<int32_t>{2, 3}));
}

}  // namespace
}  // namespace fathom::kernels
