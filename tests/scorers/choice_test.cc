#include "scorers/choice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/scorers/golden.h"

namespace fathom::scorers {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const std::vector<std::string> kLetters = {"A", "B", "C", "D"};

TEST(Choice, EqualsLmEvalTiesAndInfinitiesIncluded) {
  const nlohmann::json cases = golden_cases("choices");
  ASSERT_EQ(cases.size(), 400u);
  int n_tie = 0;
  for (const auto& c : cases) {
    const std::vector<std::string> choices = c[0];
    std::vector<double> logprobs;
    for (const auto& value : c[2]) logprobs.push_back(value.is_null() ? -kInfinity : value.get<double>());
    const SampleScore score = score_choice(choices, c[1], logprobs);
    ASSERT_EQ(score.scores.size(), 3u);
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(score.scores[i].value, c[3 + i].get<double>()) << i << c;
    n_tie += score.flags & kFlagTie ? 1 : 0;
  }
  EXPECT_GT(n_tie, 20);
}

TEST(Choice, ATieGoesToTheLowestIndexAndIsFlagged) {
  const std::vector<double> logprobs = {-2, -1, -1, -3};
  const SampleScore score = score_choice(kLetters, 2, logprobs);
  ASSERT_EQ(score.scores.size(), 3u);
  EXPECT_EQ(score.scores[0].metric, "acc");
  EXPECT_EQ(score.scores[0].answer, "B");
  EXPECT_EQ(score.scores[0].value, 0.0);
  EXPECT_EQ(score.flags, static_cast<uint32_t>(kFlagTie));
}

TEST(Choice, ATieBelowTheTopIsNoTie) {
  const std::vector<double> logprobs = {-2, -1, -2, -2};
  EXPECT_EQ(score_choice(kLetters, 1, logprobs).flags, 0u);
}

TEST(Choice, MarginIsTheGoldMinusTheBestOther) {
  const std::vector<double> logprobs = {-2, -1.5, -4, -3};
  const SampleScore right = score_choice(kLetters, 1, logprobs);
  EXPECT_EQ(right.gold_logprob, -1.5);
  EXPECT_EQ(right.margin, 0.5);
  const SampleScore wrong = score_choice(kLetters, 3, logprobs);
  EXPECT_EQ(wrong.gold_logprob, -3.0);
  EXPECT_EQ(wrong.margin, -1.5);
}

TEST(Choice, NoScoreExistsWithoutEveryLogLikelihood) {
  const std::vector<double> nan = {-2, std::nan(""), -4, -3};
  const std::vector<double> short_one = {-2, -1, -4};
  for (const auto& logprobs : {nan, short_one}) {
    const SampleScore score = score_choice(kLetters, 0, logprobs);
    ASSERT_EQ(score.scores.size(), 3u);
    for (const Score& s : score.scores) {
      EXPECT_EQ(s.outcome, Outcome::kError);
      EXPECT_EQ(s.value, std::nullopt);
      EXPECT_FALSE(s.explanation.empty());
    }
    EXPECT_EQ(score.gold_logprob, std::nullopt);
  }
}

}  // namespace
}  // namespace fathom::scorers
