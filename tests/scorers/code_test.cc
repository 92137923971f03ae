#include "scorers/code.h"

#include <gtest/gtest.h>

namespace fathom::scorers {
namespace {

SampleScore score_of(const std::string& verdict) {
  Response response;
  response.verdict = verdict;
  return score_code(response);
}

TEST(Code, OnlyAPassScoresOne) {
  EXPECT_EQ(score_of("pass").scores[0].value, 1.0);
  for (const char* verdict :
       {"fail", "compile_error", "runtime_error", "timeout", "oom", "killed_by_policy"}) {
    const Score score = score_of(verdict).scores[0];
    EXPECT_EQ(score.metric, "pass@1");
    EXPECT_EQ(score.value, 0.0) << verdict;
    EXPECT_EQ(score.outcome, Outcome::kScored) << verdict;
    EXPECT_EQ(score.answer, verdict);
  }
}

TEST(Code, ASandboxErrorIsNeverAZero) {
  for (const char* verdict : {"sandbox_error", "", "passed"}) {
    const Score score = score_of(verdict).scores[0];
    EXPECT_EQ(score.outcome, Outcome::kError) << verdict;
    EXPECT_EQ(score.value, std::nullopt) << verdict;
    EXPECT_FALSE(score.explanation.empty());
  }
}

TEST(Code, AProgramIsTheReferencesText) {
  EXPECT_EQ(humaneval_program("def f():\n", "    return 1\n", "def check(g):\n    assert g() == 1\n", "f"),
            "def f():\n    return 1\n\ndef check(g):\n    assert g() == 1\n\ncheck(f)");
}

TEST(Code, AnInstructCompletionEndsAtTheFirstFence) {
  EXPECT_EQ(before_code_fence("    return 1\n```\nIt works.\n```python\n"), "    return 1\n");
  EXPECT_EQ(before_code_fence("    return 1"), "    return 1");
  EXPECT_EQ(before_code_fence("``` "), "");
}

}  // namespace
}  // namespace fathom::scorers
