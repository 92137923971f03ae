#include "tests/engine/golden_weights.h"

#include <gtest/gtest.h>

namespace fathom::engine {
namespace {

// The spot checks that were computed when the goldens were defined.
TEST(GoldenWeights, FollowTheirDefinition) {
  const std::vector<float> head = golden::values("lm_head.weight", 4);
  EXPECT_FLOAT_EQ(head[0], 0.246390015f);
  EXPECT_FLOAT_EQ(head[1], 0.242367953f);
  EXPECT_FLOAT_EQ(head[2], -0.229075372f);
  EXPECT_FLOAT_EQ(head[3], -0.0386109054f);
  const std::vector<float> norm = golden::values("model.norm.weight", 3);
  EXPECT_FLOAT_EQ(norm[0], 0.774343908f);
  EXPECT_FLOAT_EQ(norm[1], 0.818910003f);
  EXPECT_FLOAT_EQ(norm[2], 0.951028466f);
  EXPECT_EQ(golden::input_ids(6), (std::vector<TokenId>{1, 11, 35, 73, 125, 63}));
}

}  // namespace
}  // namespace fathom::engine
