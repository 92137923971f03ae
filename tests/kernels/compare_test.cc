#include "tests/kernels/compare.h"

#include <gtest/gtest.h>

#include <limits>

namespace fathom::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::string compare(const std::vector<float>& actual, const std::vector<double>& expected) {
  return differences(actual, expected, {.absolute = 1e-3, .relative = 1e-3, .cosine = 1e-6});
}

TEST(Compare, SmallAbsoluteOrRelativeErrorsPass) {
  EXPECT_EQ(compare({1.0005f, 1000.5f, 0.0f}, {1, 1000, 0.0009}), "");
}

TEST(Compare, NansAndInfinitiesMustBeInTheSamePlaces) {
  EXPECT_EQ(compare({kNan, kInf, -kInf, 1}, {kNan, kInf, -kInf, 1}), "");
  EXPECT_NE(compare({kNan}, {1}), "");
  EXPECT_NE(compare({1}, {kNan}), "");
  EXPECT_NE(compare({kInf}, {-kInf}), "");
  EXPECT_NE(compare({kInf}, {kNan}), "");
}

TEST(Compare, LargerErrorsAndWrongSizesFail) {
  EXPECT_NE(compare({1.01f}, {1}), "");
  EXPECT_NE(compare({1}, {1, 2}), "");
}

TEST(Compare, ManySmallErrorsInOneDirectionFailTheCosine) {
  // Each element is within the absolute tolerance; together they point elsewhere.
  EXPECT_NE(compare({0.0009f, 0.0001f, -0.0008f}, {0.0001, 0.0009, 0.0001}), "");
}

TEST(Compare, BitsTellSignedZerosApart) {
  const std::vector<float> zero = {0.0f}, minus = {-0.0f}, nan = {kNan};
  EXPECT_TRUE(same_bits(zero, zero));
  EXPECT_FALSE(same_bits(zero, minus));
  EXPECT_TRUE(same_bits(nan, nan));
}

}  // namespace
}  // namespace fathom::kernels
