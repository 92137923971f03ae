#include "results/statistics/pass_at_k.h"

#include <gtest/gtest.h>

#include "tests/scorers/golden.h"

namespace fathom::results {
namespace {

TEST(PassAtK, EqualsTheReferenceEstimator) {
  const nlohmann::json cases = scorers::golden_cases("pass_at_k");
  ASSERT_GT(cases.size(), 200u);
  for (const auto& c : cases) EXPECT_NEAR(pass_at_k(c[0], c[1], c[2]), c[3].get<double>(), 1e-13) << c;
}

TEST(PassAtK, PublishedValues) {
  EXPECT_NEAR(pass_at_k(10, 3, 1), 0.3, 1e-15);
  EXPECT_NEAR(pass_at_k(10, 3, 5), 0.91666666666666667, 1e-15);
  EXPECT_NEAR(pass_at_k(200, 10, 10), 0.4085, 5e-5);
}

TEST(PassAtK, EdgesAreExact) {
  EXPECT_EQ(pass_at_k(1, 0, 1), 0.0);
  EXPECT_EQ(pass_at_k(1, 1, 1), 1.0);
  EXPECT_EQ(pass_at_k(10, 0, 10), 0.0);
  EXPECT_EQ(pass_at_k(10, 1, 10), 1.0);
}

TEST(PassAtKDeathTest, FewerAnswersThanKIsABug) {
  EXPECT_DEATH(pass_at_k(5, 2, 6), "k 6");
}

}  // namespace
}  // namespace fathom::results
