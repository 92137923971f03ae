// HumanEval's own solutions are right and what is no solution is not.
#include "tests/scorers/sandbox/canonical.h"

#include <gtest/gtest.h>

#include "tests/scorers/sandbox/attack_run.h"
#include "tests/shared_data.h"

namespace fathom::sandbox {
namespace {

TEST(Canonical, All164SolutionsPassAndNone164BrokenOnesDo) {
  FATHOM_REQUIRE_SHARED_DATA("humaneval/HumanEval.jsonl.gz");
  if (const std::string why = refusal(Level::kAuto); !why.empty()) GTEST_SKIP() << why;
  const auto right = humaneval_jobs([](const std::string& canonical) { return canonical; });
  ASSERT_EQ(right.size(), 164u);
  for (const auto& [id, result] : run_jobs(SandboxOptions(), right)) {
    EXPECT_EQ(result.verdict, Verdict::kPass) << id << ": " << result.detail;
  }
  const auto broken =
      humaneval_jobs([](const std::string& canonical) { return "    return NotImplemented\n" + canonical; });
  for (const auto& [id, result] : run_jobs(SandboxOptions(), broken)) {
    EXPECT_TRUE(result.verdict == Verdict::kFail || result.verdict == Verdict::kRuntimeError)
        << id << ": " << verdict_name(result.verdict) << " " << result.detail;
  }
}

}  // namespace
}  // namespace fathom::sandbox
