#include "scorers/number_extraction.h"

#include <gtest/gtest.h>

#include "scorers/exact_match.h"
#include "tests/scorers/golden.h"

namespace fathom::scorers {
namespace {

std::string or_invalid(const std::optional<std::string>& answer) {
  return answer.value_or("[invalid]");
}

TEST(NumberExtraction, FiltersAndScoresEqualLmEvalOnEdgeAndRandomTexts) {
  const nlohmann::json cases = golden_cases("numbers");
  ASSERT_GT(cases.size(), 1800u);
  int n_scored_one = 0;
  for (const auto& c : cases) {
    const std::string text = c[0], target = c[1];
    const std::string strict = or_invalid(gsm8k_strict_match(text));
    const std::string flexible = or_invalid(gsm8k_flexible_extract(text));
    const std::string cot_strict = or_invalid(gsm8k_cot_strict_match(text));
    EXPECT_EQ(strict, c[2]) << c;
    EXPECT_EQ(flexible, c[3]) << c;
    EXPECT_EQ(cot_strict, c[4]) << c;
    EXPECT_EQ(exact_match(strict, target, gsm8k_match_options()), c[5] == 1) << c;
    EXPECT_EQ(exact_match(flexible, target, gsm8k_match_options()), c[6] == 1) << c;
    EXPECT_EQ(exact_match(cot_strict, target, gsm8k_match_options()), c[7] == 1) << c;
    n_scored_one += c[6] == 1 ? 1 : 0;
  }
  EXPECT_GT(n_scored_one, 300);
}

TEST(NumberExtraction, KeepsTheQuirksThatMakeRightAnswersWrong) {
  EXPECT_EQ(gsm8k_flexible_extract("makes $18.00"), "$18.00");
  EXPECT_EQ(gsm8k_flexible_extract("is 18..."), "18...");
  EXPECT_EQ(gsm8k_flexible_extract("Answer: 18.\n\nNote: 1) done"), "1");
  EXPECT_EQ(gsm8k_strict_match("#### $18"), std::nullopt);
  EXPECT_EQ(gsm8k_strict_match("####18"), std::nullopt);
  EXPECT_EQ(gsm8k_strict_match("#### 17\n#### 18"), "17");
  EXPECT_EQ(gsm8k_cot_strict_match("The answer is 18"), "1");
  EXPECT_EQ(gsm8k_cot_strict_match("The answer is 8"), std::nullopt);
}

TEST(NumberExtraction, FathomsOwnReadingHasNoneOfThem) {
  const std::pair<const char*, const char*> kCases[] = {
      {"makes $18.00", "18"},
      {"is 18...", "18"},
      {"Answer: 18.\n\nNote: 1) done", "18"},
      {"#### $18", "18"},
      {"####18", "18"},
      {"#### 17\n#### 18", "18"},
      {"#### 1. Add up\nIt is 18.\n#### 18", "18"},
      {"The answer is 18", "18"},
      {"The answer is 8", "8"},
      {"the answer is: **1,234**.", "1234"},
      {"The answer is not 5 but 6", "6"},
      {"so \\boxed{-7.50}", "-7.5"},
      {"so \\boxed{\\$18}", "18"},
      {"5 + 13 = 18 eggs", "18"},
      {"10-5", "5"},
      {"10 - 5", "5"},
      {"it fell to \u22125 degrees", "-5"},
      {"a loss of -$5", "-5"},
      {"a loss of $-5", "-5"},
      {"8 litres of H2O", "8"},
      {"US$18", "18"},
      {"\u20ac18", "18"},
      {"答案是18", "18"},
      {"1,2,3", "3"},
      {"1,234,567 people", "1234567"},
      {".5 of it", "0.5"},
      {"007", "7"},
      {"-0.0", "0"},
  };
  for (const auto& [text, number] : kCases) EXPECT_EQ(extract_number(text), number) << text;
  for (const char* text : {"", "none", "####", "The answer is", "-", "$", ".", "H2O"}) {
    EXPECT_EQ(extract_number(text), std::nullopt) << text;
  }
}

TEST(NumberExtraction, DeepseekRuleTakesTheNumberAfterTheFirstMarker) {
  EXPECT_EQ(deepseek_answer("5 + 3 = 8. The answer is 8.\n\nQ: more? The answer is 9."), "8");
  EXPECT_EQ(deepseek_answer("The answer is $1,234.50."), "$1,234.50");
  EXPECT_EQ(deepseek_answer("The answer is\n -3, say"), "-3");
  EXPECT_EQ(deepseek_answer("The answer is eight. The answer is 8."), std::nullopt);
  EXPECT_EQ(deepseek_answer("8"), std::nullopt);
}

TEST(NumberExtraction, CanonicalNumbersAreEqualWhenTheNumbersAre) {
  EXPECT_EQ(canonical_number(" $1,234.50 "), "1234.5");
  EXPECT_EQ(canonical_number("18.00"), canonical_number("018"));
  for (const char* text : {"18..", "1,2,3", "", "18 eggs", "1 2"})
    EXPECT_EQ(canonical_number(text), std::nullopt);
}

// A model can be made to write megabytes of one pattern. Quadratic time on them would run into CTest's limit.
TEST(NumberExtraction, EveryRuleEndsOnMegabytesOfOnePattern) {
  for (const char* piece :
       {"-", "$", "1", ",", "1,", "#", "#### ", "The answer is ", "answer is -", "1.", "\u2212", " "}) {
    std::string text;
    while (text.size() < 1'000'000) text += piece;
    const std::string answer = text + "\n#### 18\nThe answer is 18.";
    EXPECT_EQ(gsm8k_cot_strict_match(answer), "18") << piece;
    EXPECT_EQ(extract_number(answer), "18") << piece;
    EXPECT_EQ(gsm8k_flexible_extract(answer), "18.") << piece;
    EXPECT_EQ(gsm8k_strict_match(answer), "18") << piece;
    deepseek_answer(answer);
  }
}

}  // namespace
}  // namespace fathom::scorers
