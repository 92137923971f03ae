// Which samples share a judge's process and compiled tests, and what ends the sharing.
#include <gtest/gtest.h>
#include <signal.h>

#include <map>
#include <optional>

#include "base/error.h"
#include "scorers/sandbox/sandbox.h"
#include "tests/scorers/sandbox/attack_run.h"
#include "tests/scorers/sandbox/host_guard.h"

namespace fathom::sandbox {
namespace {

constexpr const char* kHonest = "    return x + 1\n";
constexpr const char* kTest = "def check(candidate):\n    assert candidate(1) == 2\n";

Job job_for(const std::string& body, const std::string& test = kTest) {
  Job job;
  job.prompt = "def f(x):\n";
  job.completion = body;
  job.test = test;
  job.entry_point = "f";
  return job;
}

// One cell, so that the samples come one after the other; the attempt that decided each of them.
std::vector<Attempt> run_in_order(std::vector<Job> jobs) {
  SandboxOptions options;
  options.n_workers = 1;
  const auto sandbox = Sandbox::start(options);
  for (size_t i = 0; i < jobs.size(); ++i) {
    jobs[i].id = std::to_string(i);
    sandbox->submit(jobs[i]);
  }
  sandbox->close();
  std::map<size_t, Attempt> attempts;
  while (auto result = sandbox->next()) attempts[std::stoul(result->id)] = result->attempts.back();
  std::vector<Attempt> ordered;
  for (auto& [i, attempt] : attempts) ordered.push_back(std::move(attempt));
  return ordered;
}

TEST(JudgeProcess, SamplesOfAProblemShareItsCompiledTests) {
  if (const std::string why = refusal(Level::kAuto); !why.empty()) GTEST_SKIP() << why;
  const std::string other = "def check(candidate):\n    assert candidate(2) == 3\n";
  const auto attempts = run_in_order({job_for(kHonest), job_for("    return 3\n"), job_for("    return (\n"),
                                      job_for("    while True: pass\n"), job_for(kHonest),
                                      job_for(kHonest, other), job_for(kHonest), job_for(kHonest, other)});
  ASSERT_EQ(attempts.size(), 8u);
  EXPECT_EQ(attempts[1].verdict, Verdict::kFail);
  EXPECT_EQ(attempts[2].verdict, Verdict::kCompileError);
  EXPECT_EQ(attempts[3].verdict, Verdict::kTimeout);
  for (const size_t i : {0, 4, 5, 6, 7}) EXPECT_EQ(attempts[i].verdict, Verdict::kPass) << i;
  const bool expected[] = {true, false, false, false, false, true, false, false};
  for (size_t i = 0; i < attempts.size(); ++i) EXPECT_EQ(attempts[i].tests_compiled, expected[i]) << i;
}

TEST(JudgeProcess, StaysForSixtyFourSamples) {
  if (const std::string why = refusal(Level::kAuto); !why.empty()) GTEST_SKIP() << why;
  const auto attempts = run_in_order(std::vector<Job>(66, job_for(kHonest)));
  ASSERT_EQ(attempts.size(), 66u);
  for (size_t i = 0; i < 66; ++i) {
    EXPECT_EQ(attempts[i].verdict, Verdict::kPass) << attempts[i].detail;
    EXPECT_EQ(attempts[i].judge_turn, static_cast<int64_t>(i % 64 + 1));
    EXPECT_LT(attempts[i].cpu_ms, 2000) << "the CPU time of earlier samples was counted again";
  }
}

struct Ending {
  const char* name;
  std::string body;
  std::string test;
  Verdict verdict;
};

const Ending kEndings[] = {
    {"program_changed_an_argument", "    x.append(1)\n    return 2\n",
     "def check(candidate):\n    a = []\n    assert candidate(a) == 2 and a == [1]\n", Verdict::kPass},
    {"program_called_a_function_of_the_tests", "    return x(1)\n",
     "def check(candidate):\n    assert candidate(lambda n: n + 1) == 2\n", Verdict::kPass},
    {"program_died", "    import os\n    os._exit(0)\n", kTest, Verdict::kRuntimeError},
    {"reply_outside_the_rules", "    import os\n    os.write(4, b'\\0\\0\\0\\2[]')\n    return 2\n", kTest,
     Verdict::kRuntimeError},
    {"sample_was_stopped", "    while True: pass\n", kTest, Verdict::kTimeout},
    {"value_too_deep_to_send", "    for _ in range(99): x = [x]\n    return x\n", kTest,
     Verdict::kRuntimeError},
    {"tests_import_another_module", kHonest, "import decimal\n" + std::string(kTest), Verdict::kPass},
    {"tests_import_it_inside", kHonest,
     "def check(candidate):\n    import os\n    assert candidate(1) == 2\n", Verdict::kPass},
    {"tests_patch_a_module", kHonest, "import math\nmath.pi = 3\n" + std::string(kTest), Verdict::kPass},
    {"tests_set_an_attribute", kHonest, "import math\nsetattr(math, 'e', 3)\n" + std::string(kTest),
     Verdict::kPass},
    {"tests_seed", kHonest, "import random\nrandom.seed(1)\n" + std::string(kTest), Verdict::kPass},
    {"tests_use_a_private_name", kHonest, "import re\nre._cache\n" + std::string(kTest), Verdict::kPass},
    {"tests_fail_to_compile", kHonest, "def check(:\n", Verdict::kSandboxError},
};

class JudgeProcessEnds : public ::testing::TestWithParam<Ending> {};

TEST_P(JudgeProcessEnds, SoThatTheNextSampleHasAFreshOne) {
  if (const std::string why = refusal(Level::kAuto); !why.empty()) GTEST_SKIP() << why;
  const Ending& ending = GetParam();
  const auto attempts =
      run_in_order({job_for(kHonest), job_for(ending.body, ending.test), job_for(kHonest), job_for(kHonest)});
  ASSERT_EQ(attempts.size(), 4u);
  EXPECT_EQ(verdict_name(attempts[1].verdict), verdict_name(ending.verdict)) << attempts[1].detail;
  for (const size_t i : {0, 2, 3}) EXPECT_EQ(attempts[i].verdict, Verdict::kPass) << attempts[i].detail;
  EXPECT_EQ(attempts[0].judge_turn, 1);
  EXPECT_EQ(attempts[2].judge_turn, 1) << "judged in the process of the sample before";
  EXPECT_EQ(attempts[3].judge_turn, 2);
}

INSTANTIATE_TEST_SUITE_P(When, JudgeProcessEnds, ::testing::ValuesIn(kEndings),
                         [](const auto& param) { return std::string(param.param.name); });

// A test that changes an interpreter may do so; the next sample does not see it.
TEST(JudgeProcess, TestsThatPatchTheInterpreterAreAlone) {
  if (const std::string why = refusal(Level::kAuto); !why.empty()) GTEST_SKIP() << why;
  const std::string patch = "import builtins\nbuiltins.abs = lambda n: 7\n" + std::string(kTest);
  const std::string uses = "def check(candidate):\n    assert abs(candidate(1)) == 2\n";
  const auto attempts =
      run_in_order({job_for(kHonest, uses), job_for(kHonest, patch), job_for(kHonest, uses)});
  ASSERT_EQ(attempts.size(), 3u);
  for (const Attempt& attempt : attempts) EXPECT_EQ(attempt.verdict, Verdict::kPass) << attempt.detail;
}

// As the kernel might when the machine runs out of memory. The sample that meets the dead process is judged
// again.
TEST(JudgeProcess, ThatIsKilledWhileItWaitsIsReplaced) {
  if (const std::string why = refusal(Level::kAuto); !why.empty()) GTEST_SKIP() << why;
  SandboxOptions options;
  options.n_workers = 1;
  const auto sandbox = Sandbox::start(options);
  int n_killed = 0;
  for (int i = 0; i < 20; ++i) {
    sandbox->submit(job_for(kHonest));
    const auto result = sandbox->next();
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(result->verdict, Verdict::kPass) << result->detail;
    for (const pid_t zygote : children_of(sandbox->supervisor())) {
      for (const pid_t judge : children_of(zygote)) n_killed += kill(judge, SIGKILL) == 0 ? 1 : 0;
    }
  }
  EXPECT_GE(n_killed, 15);
}

}  // namespace
}  // namespace fathom::sandbox
