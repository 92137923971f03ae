#include "scorers/exact_match.h"

#include <gtest/gtest.h>

#include "tests/scorers/golden.h"

namespace fathom::scorers {
namespace {

TEST(ExactMatch, EqualsLmEvalOnRandomPairs) {
  const nlohmann::json cases = golden_cases("exact_match");
  ASSERT_GT(cases.size(), 1000u);
  int n_numbers = 0, n_letters = 0;
  for (const auto& c : cases) {
    const std::string prediction = c[0], target = c[1];
    EXPECT_EQ(exact_match(prediction, target, gsm8k_match_options()), c[2] == 1) << c;
    EXPECT_EQ(exact_match(prediction, target, letter_match_options()), c[3] == 1) << c;
    n_numbers += c[2] == 1 ? 1 : 0;
    n_letters += c[3] == 1 ? 1 : 0;
  }
  EXPECT_GT(n_numbers, 100);
  EXPECT_GT(n_letters, 100);
}

TEST(ExactMatch, AppliesTheIgnoredPatternsInTheirOrder) {
  const ExactMatchOptions& options = gsm8k_match_options();
  EXPECT_EQ(normalise_for_match("a #### b #### $1,234.", options), "1234");
  EXPECT_EQ(normalise_for_match("18.\n", options), "18\n");
  EXPECT_EQ(normalise_for_match("18..", options), "18.");
  // The "$" goes first, so that this becomes the marker.
  EXPECT_EQ(normalise_for_match("x ##$## 5", options), "5");
}

}  // namespace
}  // namespace fathom::scorers
