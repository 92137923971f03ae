#include "scorers/letter_extraction.h"

#include <gtest/gtest.h>

#include "scorers/exact_match.h"
#include "tests/scorers/golden.h"

namespace fathom::scorers {
namespace {

TEST(LetterExtraction, FirstLineAndItsScoreEqualLmEval) {
  const nlohmann::json cases = golden_cases("letters");
  ASSERT_GT(cases.size(), 1200u);
  for (const auto& c : cases) {
    const std::string response = first_line(c[0].get<std::string>());
    EXPECT_EQ(response, c[2]) << c;
    EXPECT_EQ(exact_match(response, c[1].get<std::string>(), letter_match_options()), c[3] == 1) << c;
  }
}

TEST(LetterExtraction, FathomsOwnReadingFindsTheLetter) {
  const std::pair<const char*, const char*> kCases[] = {
      {" B", "B"},
      {"A. foo", "A"},
      {"(C) bar", "C"},
      {"**D**", "D"},
      {"B\nbecause", "B"},
      {"The answer is B.", "B"},
      {"The answer is: **(C)** since", "C"},
      {"the answer is A because", "A"},
      {"Answer: D", "D"},
      {"so \\boxed{A}", "A"},
      {"The answer is not A. The answer is B.", "B"},
      {"I choose (B), that is (B)", "B"},
  };
  for (const auto& [text, letter] : kCases) EXPECT_EQ(extract_letter(text, 4), letter) << text;
  for (const char* text :
       {"", "E", "A dog", "Because", "A-level", "b", "either (A) or (B)", "the answer is Apple"}) {
    EXPECT_EQ(extract_letter(text, 4), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace fathom::scorers
