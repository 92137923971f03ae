// The table of verdicts: what was observed, in the order in which it decides.
#include "scorers/sandbox/evidence.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <cerrno>

#include "scorers/sandbox/zygote.h"

namespace fathom::sandbox {
namespace {

JudgeOutcome outcome(const std::string& name, std::vector<std::string> classes = {}) {
  JudgeOutcome judge;
  judge.outcome = name;
  judge.classes = std::move(classes);
  return judge;
}

Evidence passing() {
  Evidence evidence;
  evidence.judge = outcome("pass");
  return evidence;
}

Verdict verdict_of(const Evidence& evidence, Timing timing = Timing::kDefault) {
  return decide(evidence, Limits(), timing).verdict;
}

TEST(Evidence, OnlyTheJudgesWordIsAPass) {
  EXPECT_EQ(verdict_of(passing()), Verdict::kPass);
  EXPECT_EQ(verdict_of(Evidence()), Verdict::kSandboxError) << "no word at all";
}

TEST(Evidence, AFailureOfTheSandboxComesFirst) {
  Evidence evidence = passing();
  evidence.sandbox_failure = "seccomp: prctl failed";
  evidence.stopped_by = StoppedBy::kCpu;
  EXPECT_EQ(verdict_of(evidence), Verdict::kSandboxError);
}

TEST(Evidence, ALimitThatWasExceededUndoesAPass) {
  Evidence evidence = passing();
  evidence.cpu_ms = 3001;
  EXPECT_EQ(verdict_of(evidence), Verdict::kTimeout);
  evidence = passing();
  evidence.output_bytes = (1 << 20) + 1;
  EXPECT_EQ(verdict_of(evidence), Verdict::kKilledByPolicy);
  for (const int64_t flag : {kTmpBytesUsedUp, kTmpFilesUsedUp}) {
    evidence = passing();
    evidence.runner_flags = flag;
    EXPECT_EQ(verdict_of(evidence), Verdict::kKilledByPolicy);
  }
  for (const StoppedBy reason : {StoppedBy::kCpu, StoppedBy::kWall, StoppedBy::kIdle}) {
    evidence = passing();
    evidence.stopped_by = reason;
    EXPECT_EQ(verdict_of(evidence), Verdict::kTimeout);
  }
}

TEST(Evidence, TheReferencesClockIsTheWall) {
  Evidence evidence = passing();
  evidence.cpu_ms = 5000;  // threads
  EXPECT_EQ(verdict_of(evidence, Timing::kReference), Verdict::kPass);
}

TEST(Evidence, ASignalTellsWhatEndedTheProgram) {
  const auto ended_by = [](int number, double peak_rss_mb) {
    Evidence evidence;
    evidence.judge = outcome("gone");
    evidence.runner_status = number;
    evidence.peak_rss_mb = peak_rss_mb;
    return verdict_of(evidence);
  };
  EXPECT_EQ(ended_by(SIGSYS, 10), Verdict::kKilledByPolicy);
  EXPECT_EQ(ended_by(SIGXCPU, 10), Verdict::kTimeout);
  EXPECT_EQ(ended_by(SIGKILL, 500), Verdict::kOom);
  EXPECT_EQ(ended_by(SIGKILL, 10), Verdict::kRuntimeError);
  EXPECT_EQ(ended_by(SIGSEGV, 10), Verdict::kRuntimeError);
}

TEST(Evidence, AProcessThatTheKernelKilledForMemoryIsOomUnlessTheProgramPassed) {
  Evidence evidence = passing();
  evidence.memory_kill = true;
  EXPECT_EQ(verdict_of(evidence), Verdict::kPass);
  evidence.judge = outcome("raise", {"RuntimeError"});
  EXPECT_EQ(verdict_of(evidence), Verdict::kOom);
  evidence.stopped_by = StoppedBy::kCpu;
  EXPECT_EQ(verdict_of(evidence), Verdict::kTimeout);
}

TEST(Evidence, TheJudgesOutcomesHaveTheirVerdicts) {
  const auto verdict = [](JudgeOutcome judge) {
    Evidence evidence;
    evidence.judge = std::move(judge);
    return verdict_of(evidence);
  };
  EXPECT_EQ(verdict(outcome("assert")), Verdict::kFail);
  EXPECT_EQ(verdict(outcome("exit", {"SystemExit"})), Verdict::kFail);
  EXPECT_EQ(verdict(outcome("raise", {"ValueError", "Exception"})), Verdict::kRuntimeError);
  EXPECT_EQ(verdict(outcome("raise", {"MemoryError"})), Verdict::kOom);
  EXPECT_EQ(verdict(outcome("memory")), Verdict::kOom);
  EXPECT_EQ(verdict(outcome("bad_reply")), Verdict::kRuntimeError);
  EXPECT_EQ(verdict(outcome("tests")), Verdict::kSandboxError);
  JudgeOutcome load = outcome("load", {"SyntaxError"});
  load.stage = "compile";
  EXPECT_EQ(verdict(load), Verdict::kCompileError);
  load.stage = "run";
  EXPECT_EQ(verdict(load), Verdict::kRuntimeError);
}

TEST(Evidence, AKernelLimitIsNamed) {
  Evidence evidence;
  evidence.judge = outcome("raise", {"OSError", "Exception"});
  for (const auto& [number, word] :
       {std::pair{ENOSPC, "tmp_mb"}, {EFBIG, "tmp_mb"}, {EMFILE, "descriptors"}}) {
    evidence.judge->error_number = number;
    const Decision decision = decide(evidence, Limits(), Timing::kDefault);
    EXPECT_EQ(decision.verdict, Verdict::kKilledByPolicy);
    EXPECT_NE(decision.detail.find(word), std::string::npos) << decision.detail;
  }
}

TEST(Evidence, OnlyATimeoutByTheWallIsRunAgain) {
  Evidence evidence;
  evidence.cpu_ms = 100;
  const auto again = [&evidence](Timing timing = Timing::kDefault) {
    return deserves_another_run(evidence, decide(evidence, Limits(), timing), Limits(), timing);
  };
  evidence.stopped_by = StoppedBy::kWall;
  EXPECT_TRUE(again());
  EXPECT_FALSE(again(Timing::kReference));
  evidence.stopped_by = StoppedBy::kIdle;
  EXPECT_TRUE(again());
  evidence.cpu_ms = 2900;
  EXPECT_FALSE(again()) << "the CPU limit was as good as reached";
  evidence.stopped_by = StoppedBy::kCpu;
  EXPECT_FALSE(again());
}

TEST(Evidence, TextThatIsNoOutcomeIsNone) {
  for (const char* text : {"", "pass", "[]", "{\"outcome\":\"passed\"}", "{\"outcome\":1}",
                           "{\"outcome\":\"pass\"} "
                           "{}"}) {
    EXPECT_FALSE(parse_judge_outcome(text).has_value()) << text;
  }
  EXPECT_TRUE(parse_judge_outcome("{\"outcome\":\"pass\",\"calls\":3}").has_value());
}

}  // namespace
}  // namespace fathom::sandbox
