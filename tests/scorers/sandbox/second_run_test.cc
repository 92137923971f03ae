// Timing rules end to end: what is run twice, what decides, and what is stored.
#include <gtest/gtest.h>

#include <chrono>
#include <map>

#include "base/error.h"
#include "scorers/sandbox/sandbox.h"
#include "tests/scorers/sandbox/attack_run.h"

namespace fathom::sandbox {
namespace {

Job job_with(const std::string& id, const std::string& body, const Limits& limits) {
  Job job;
  job.id = id;
  job.prompt = "def f(x):\n";
  job.completion = body;
  job.test = "def check(candidate):\n    assert candidate(1) == 2\n";
  job.entry_point = "f";
  job.limits = limits;
  return job;
}

std::map<std::string, Result> run(Timing timing, const std::vector<Job>& jobs) {
  SandboxOptions options;
  options.timing = timing;
  options.n_workers = 2;
  const auto sandbox = Sandbox::start(options);
  for (const Job& job : jobs) sandbox->submit(job);
  sandbox->close();
  std::map<std::string, Result> results;
  while (auto result = sandbox->next()) results.emplace(result->id, *result);
  return results;
}

std::string unix_time_in(double seconds) {
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return std::to_string(now + seconds);
}

class SecondRun : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = refusal(Level::kAuto); !why.empty()) GTEST_SKIP() << why;
  }
};

TEST_F(SecondRun, AWallTimeoutIsRunOnceMoreAndBothAttemptsAreKept) {
  Limits limits;
  limits.wall_s = 0.5;
  const auto results =
      run(Timing::kDefault, {job_with("sleeps", "    import time\n    time.sleep(60)\n", limits)});
  const Result& result = results.at("sleeps");
  EXPECT_EQ(result.verdict, Verdict::kTimeout);
  ASSERT_EQ(result.attempts.size(), 2u);
  for (const Attempt& attempt : result.attempts)
    EXPECT_EQ(attempt.verdict, Verdict::kTimeout) << attempt.detail;
}

TEST_F(SecondRun, TheSecondAttemptDecides) {
  // Late only as long as the clock says so, as on a machine that was busy at the wrong moment.
  Limits limits;
  limits.wall_s = 4;
  limits.idle_s = 4;
  const auto sandbox = Sandbox::start(SandboxOptions());
  sandbox->submit(job_with("first", "    return 2\n", Limits()));
  ASSERT_TRUE(sandbox->next().has_value());  // the clock starts when a cell is ready
  const std::string body =
      "    import time\n    while time.time() < " + unix_time_in(6) + ": time.sleep(0.05)\n    return 2\n";
  sandbox->submit(job_with("late_once", body, limits));
  const std::optional<Result> result = sandbox->next();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->verdict, Verdict::kPass) << result->detail;
  ASSERT_EQ(result->attempts.size(), 2u);
  EXPECT_EQ(result->attempts[0].verdict, Verdict::kTimeout);
  EXPECT_EQ(result->attempts[1].verdict, Verdict::kPass);
}

TEST_F(SecondRun, ACpuTimeoutAWrongAnswerAndAPassAreNotRunAgain) {
  Limits limits;
  limits.cpu_s = 0.3;
  const auto results = run(Timing::kDefault, {job_with("busy", "    while True: pass\n", limits),
                                              job_with("wrong", "    return 3\n", limits),
                                              job_with("right", "    return 2\n", limits)});
  EXPECT_EQ(results.at("busy").verdict, Verdict::kTimeout);
  EXPECT_EQ(results.at("wrong").verdict, Verdict::kFail);
  EXPECT_EQ(results.at("right").verdict, Verdict::kPass);
  for (const auto& [id, result] : results) EXPECT_EQ(result.attempts.size(), 1u) << id;
}

TEST_F(SecondRun, TheReferencesTimingKnowsTheWallOnlyAndRunsOnce) {
  Limits limits;
  limits.wall_s = 1.0;
  const auto results =
      run(Timing::kReference,
          {job_with("sleeps", "    import time\n    time.sleep(60)\n", limits),
           job_with("short_sleep", "    import time\n    time.sleep(0.2)\n    return 2\n", limits)});
  EXPECT_EQ(results.at("sleeps").verdict, Verdict::kTimeout);
  EXPECT_EQ(results.at("sleeps").attempts.size(), 1u);
  EXPECT_EQ(reference_result(results.at("sleeps").verdict), "timed out");
}

TEST_F(SecondRun, SlowButWithinItsCpuLimitPassesWhereTheWallIsTwiceAsLong) {
  Limits limits;
  limits.cpu_s = 2;
  const std::string body =
      "    import time\n    for _ in range(20):\n        sum(range(10000))\n        time.sleep(0.05)\n    "
      "return 2\n";
  EXPECT_EQ(run(Timing::kDefault, {job_with("slow", body, limits)}).at("slow").verdict, Verdict::kPass);
}

TEST_F(SecondRun, EachVerdictCarriesThePolicyItRanUnder) {
  Limits other;
  other.memory_mb = 256;
  const auto results = run(Timing::kDefault, {job_with("own", "    return 2\n", other),
                                              job_with("default", "    return 2\n", Limits())});
  EXPECT_EQ(results.at("own").policy_hash.size(), 64u);
  EXPECT_NE(results.at("own").policy_hash, results.at("default").policy_hash);
}

}  // namespace
}  // namespace fathom::sandbox
