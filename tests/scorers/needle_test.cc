#include "scorers/needle.h"

#include <gtest/gtest.h>

namespace fathom::scorers {
namespace {

const std::vector<std::string> kKeywords = {"sandwich", "Dolores Park", "sunny day"};

TEST(Needle, KeywordsAreWholeWordsWhateverTheCaseAndSpacing) {
  EXPECT_TRUE(contains_keyword("sit in dolores\n  PARK.", "Dolores Park"));
  EXPECT_TRUE(contains_keyword("(sunny day)", "sunny day"));
  EXPECT_FALSE(contains_keyword("unsunny days", "sunny day"));
  EXPECT_FALSE(contains_keyword("91234567", "1234567"));
  EXPECT_TRUE(contains_keyword("91234567, 1234567", "1234567"));
  EXPECT_FALSE(contains_keyword("", "x"));
}

TEST(Needle, TheScoreGoesFromOneToTenWithTheKeywordsFound) {
  const Score all = score_keywords("Eat a sandwich in Dolores Park on a sunny day.", kKeywords);
  EXPECT_EQ(all.value, 10.0);
  EXPECT_EQ(all.answer, "sandwich, Dolores Park, sunny day");
  EXPECT_EQ(score_keywords("a sandwich", kKeywords).value, 4.0);
  const Score none = score_keywords("I do not know.", kKeywords);
  EXPECT_EQ(none.value, 1.0);
  EXPECT_EQ(none.outcome, Outcome::kScored);
}

TEST(Needle, NothingGeneratedIsNoAnswer) {
  const Score score = score_keywords(" \n", kKeywords);
  EXPECT_EQ(score.outcome, Outcome::kNoAnswer);
  EXPECT_EQ(score.value, 1.0);
}

}  // namespace
}  // namespace fathom::scorers
