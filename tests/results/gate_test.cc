#include "results/judging/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/statistics/counter_random.h"
#include "tests/results/example_pair.h"

namespace fathom::results {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

GateReport judge_tasks(std::vector<PairedTask> tasks, const Policy& policy = {}) {
  return judge(example_pair(std::move(tasks)), policy);
}

TEST(Gate, PassesWhenALossBeyondTheMarginIsExcluded) {
  const GateReport report = judge_tasks({example_paired_task("big", 10'000, 100, 100)});
  EXPECT_EQ(report.verdict, Verdict::kPass) << report.reason;
  ASSERT_THAT(report.primaries, SizeIs(1));
  EXPECT_EQ(report.primaries[0].scope, "task:big");
  EXPECT_EQ(report.primaries[0].level, 0.95);
  EXPECT_GT(*report.primaries[0].difference.ci_low, -0.01);
}

TEST(Gate, RegressesWhenTheIntervalLiesBelowZero) {
  const GateReport report = judge_tasks({example_paired_task("big", 10'000, 400, 200)});
  EXPECT_EQ(report.verdict, Verdict::kRegressed);
  EXPECT_THAT(report.reason, HasSubstr("task:big acc: worse"));
  EXPECT_LT(*report.primaries[0].difference.ci_high, 0.0);
}

TEST(Gate, ALossBelowTheFloorIsAWarningAndNoRegression) {
  const GateReport report =
      judge_tasks({example_paired_task("huge", 100'000, 100, 10)});  // -0.0009, p < 1e-15
  EXPECT_EQ(report.verdict, Verdict::kPass) << report.reason;
  ASSERT_THAT(report.warnings, SizeIs(1));
  EXPECT_THAT(report.warnings[0], HasSubstr("worse, within the margin"));
}

TEST(Gate, TheExactTestMustConfirmTheInterval) {
  // 60 lost, 40 won: the interval ends below 0, but exactly that or worse happens in 2.84 % of unchanged
  // pairs.
  const GateReport report = judge_tasks({example_paired_task("t", 3000, 60, 40)});
  EXPECT_LT(*report.primaries[0].difference.ci_high, 0.0);
  EXPECT_NEAR(*report.primaries[0].p_worse, 0.0284, 0.0001);
  EXPECT_EQ(report.verdict, Verdict::kInconclusive);
  EXPECT_EQ(judge_tasks({example_paired_task("t", 3000, 61, 39)}).verdict, Verdict::kRegressed);  // 1.76 %
}

TEST(Gate, IsInconclusiveWithTooFewDocumentsAndSaysHowManyAreNeeded) {
  const GateReport report = judge_tasks({example_paired_task("humaneval", 164, 8, 8)});
  EXPECT_EQ(report.verdict, Verdict::kInconclusive);
  EXPECT_THAT(report.reason, HasSubstr("are needed for the margin"));
  EXPECT_NEAR(*report.primaries[0].n_needed, 7849 * (16.0 / 164) / 0.1, 60);
  Policy wide;
  wide.margin = 0.1;
  EXPECT_EQ(judge_tasks({example_paired_task("humaneval", 164, 8, 8)}, wide).verdict, Verdict::kPass);
}

TEST(Gate, IdenticalAnswersPassHoweverFewTheyAre) {
  PairedTask task = example_paired_task("small", 8, 0, 0);
  EXPECT_EQ(judge_tasks({task}).verdict, Verdict::kInconclusive);  // equal scores, but other answers
  for (PairedDoc& doc : task.docs) doc.identical = true;
  const GateReport report = judge_tasks({task});
  EXPECT_EQ(report.verdict, Verdict::kPass);
  EXPECT_EQ(report.primaries[0].reason, "all 8 answers are identical, bit for bit");
}

TEST(Gate, PrimaryNumbersShareTheFalseAlarmRate) {
  const GateReport report =
      judge_tasks({example_paired_task("a", 9000, 9, 9), example_paired_task("b", 9000, 9, 9)});
  ASSERT_THAT(report.primaries, SizeIs(2));
  EXPECT_DOUBLE_EQ(report.primaries[0].level, 0.975);
}

// 57 subjects of 250 questions; subject 7 loses `lost` of them. Each of the others has five flips either way.
std::vector<PairedTask> subjects(int64_t lost) {
  std::vector<PairedTask> tasks;
  for (int k = 0; k < 57; ++k) {
    tasks.push_back(
        example_paired_task("subject_" + std::to_string(k), 250, k == 7 ? lost : 5, 5, 100, {"exam"}));
  }
  return tasks;
}

TEST(Gate, FindsOneSubjectThatFellBehindAStableMean) {
  const GateReport report = judge_tasks(subjects(40));
  EXPECT_EQ(report.primaries[0].verdict, Verdict::kPass) << report.primaries[0].reason;
  EXPECT_EQ(report.verdict, Verdict::kRegressed);
  EXPECT_THAT(report.reason, HasSubstr("members of exam: 1 of 57 members worse: subject_7 (-0.1400)"));
  ASSERT_THAT(report.families, SizeIs(1));
  EXPECT_TRUE(report.families[0].members[7].regressed);
  EXPECT_FALSE(report.families[0].members[8].regressed);
}

TEST(Gate, CorrectsSubjectsForTheirNumber) {
  const GateReport report =
      judge_tasks(subjects(18));  // one-sided p = 0.005; with 57 subjects that happens by chance
  EXPECT_LT(report.families[0].members[7].p, 0.01);
  EXPECT_GT(report.families[0].members[7].q, report.families[0].q_limit);
  EXPECT_EQ(report.verdict, Verdict::kPass) << report.reason;
}

TEST(Gate, AMemberWorseByLessThanItsMarginIsNoRegression) {
  Policy policy;
  policy.family_margin = 0.2;
  EXPECT_EQ(judge_tasks(subjects(40), policy).verdict, Verdict::kPass);
}

TEST(Gate, JudgesTheLogProbabilityWhereTheAccuracyIsTooCoarse) {
  PairedTask task = example_paired_task("small", 200, 0, 0, 100);
  std::vector<double> base;
  std::vector<double> cand;
  for (uint64_t i = 0; i < 200; ++i) {
    base.push_back(-1.0 - random_unit(1, i));
    cand.push_back(base.back() - 0.05 + 0.05 * (random_unit(2, i) - 0.5));
  }
  add_gold_logprobs(task, base, cand);
  EXPECT_EQ(judge_tasks({task}).verdict,
            Verdict::kInconclusive);  // 200 questions are too few for 1 point of accuracy
  Policy policy;
  policy.primary = {{{.scope = "task:small", .metric = kGoldLogprob, .margin = 0.02}}};
  EXPECT_EQ(judge_tasks({task}, policy).verdict, Verdict::kRegressed);
  policy.primary->at(0).margin = 0.1;
  policy.primary->at(0).floor = 0.1;
  EXPECT_EQ(judge_tasks({task}, policy).verdict, Verdict::kPass);
}

TEST(Gate, DocumentsThatShareATextAreClustered) {
  PairedTask task = example_paired_task("passages", 400, 40, 0, 200);
  EXPECT_EQ(judge_tasks({task}).verdict, Verdict::kRegressed);
  for (size_t i = 0; i < task.clusters.size(); ++i)
    task.clusters[i] = i < 200 ? "one" : i < 300 ? "two" : "three";
  const GateReport report = judge_tasks({task});  // all losses are in one of three passages
  EXPECT_EQ(report.primaries[0].difference.se_method, "paired, clustered");
  EXPECT_EQ(report.primaries[0].difference.n_clusters, 3);
  EXPECT_EQ(report.verdict, Verdict::kInconclusive);
}

TEST(Gate, OtherQuestionsAreNotComparable) {
  PairedRuns runs = example_pair({example_paired_task("big", 10'000, 100, 100)});
  runs.incomparable = {{"tasks.big.n_shot", "5", "0"}};
  GateReport report = judge(runs, {});
  EXPECT_EQ(report.verdict, Verdict::kNotComparable);
  EXPECT_THAT(report.reason, HasSubstr("tasks.big.n_shot: 5 in the base, 0 in the candidate"));
  EXPECT_THAT(report.primaries, IsEmpty());

  runs.incomparable = {{"tasks.other.n_shot", "5", "0"}};  // a task that nothing looks at
  EXPECT_EQ(judge(runs, {}).verdict, Verdict::kPass);
  runs.incomparable = {{"parameters.temperature", "0.0", "0.8"}};
  EXPECT_EQ(judge(runs, {}).verdict, Verdict::kNotComparable);
}

TEST(Gate, ATaskInOneRunOnlyIsNotComparableUnlessThePolicyNamesItsNumbers) {
  PairedRuns runs = example_pair({example_paired_task("big", 10'000, 100, 100)});
  runs.only_base_tasks = {"gsm8k"};
  const GateReport report = judge(runs, {});
  EXPECT_EQ(report.verdict, Verdict::kNotComparable);
  EXPECT_THAT(report.reason, HasSubstr("gsm8k only in the base"));
  Policy policy;
  policy.primary = {{{.scope = "task:big", .metric = "acc"}}};
  EXPECT_EQ(judge(runs, policy).verdict, Verdict::kPass);
  policy.primary->push_back({.scope = "task:gsm8k", .metric = "acc"});
  EXPECT_EQ(judge(runs, policy).verdict, Verdict::kNotComparable);
  policy.primary = {{{.scope = "task:big", .metric = "exact_match"}}};
  EXPECT_THAT(judge(runs, policy).reason, HasSubstr("the runs do not share this metric"));
}

TEST(Gate, TooManyOtherPromptsAreNotComparable) {
  PairedTask task = example_paired_task("big", 10'000, 100, 100);
  task.prompt_differs = {50, {"17"}};
  EXPECT_EQ(judge_tasks({task}).verdict, Verdict::kPass);  // 0.5 % may differ
  task.prompt_differs = {51, {"17"}};
  const GateReport report = judge_tasks({task});
  EXPECT_EQ(report.verdict, Verdict::kNotComparable);
  EXPECT_THAT(report.reason, HasSubstr("big: 51 asked with another prompt, first 17"));
}

TEST(Gate, MoreAnswersCutByTheTokenLimitAreNotComparable) {
  PairedTask task = example_paired_task("big", 10'000, 100, 100);
  task.n_base_cut = 40;
  task.n_cand_cut = 140;
  EXPECT_EQ(judge_tasks({task}).verdict, Verdict::kPass);
  task.n_cand_cut = 141;
  EXPECT_EQ(judge_tasks({task}).verdict, Verdict::kNotComparable);
}

TEST(Gate, UnfinishedRunsAndMissingScoresAreIncomplete) {
  PairedRuns runs = example_pair({example_paired_task("big", 10'000, 400, 200)});
  runs.cand.info.status = RunStatus::kInterrupted;
  const GateReport report = judge(runs, {});
  EXPECT_EQ(report.verdict, Verdict::kIncomplete);
  EXPECT_THAT(report.reason, HasSubstr("the candidate (run 2) is interrupted"));
  EXPECT_THAT(report.primaries, IsEmpty());

  PairedTask task = example_paired_task("big", 10'000, 100, 100);
  task.cand_unscored = {50, {"3"}};
  EXPECT_EQ(judge_tasks({task}).verdict, Verdict::kPass);
  task.cand_unscored = {51, {"3"}};
  EXPECT_EQ(judge_tasks({task}).verdict, Verdict::kIncomplete);
}

TEST(Gate, TheGravestVerdictWins) {
  PairedRuns runs =
      example_pair({example_paired_task("a", 10'000, 400, 200), example_paired_task("b", 100, 5, 5)});
  EXPECT_EQ(judge(runs, {}).verdict, Verdict::kRegressed);  // and not inconclusive
  runs.base.info.status = RunStatus::kFailed;
  EXPECT_EQ(judge(runs, {}).verdict, Verdict::kIncomplete);
  runs.incomparable = {{"parameters.truncate", "\"error\"", "\"left\""}};
  EXPECT_EQ(judge(runs, {}).verdict, Verdict::kNotComparable);
}

TEST(Gate, SpeedIsJudgedOnlyWhenAskedAndOnlyBetweenLikeMachines) {
  PairedRuns runs = example_pair({example_paired_task("big", 10'000, 100, 100)});
  runs.cand.speed.seconds = 12.0;  // 1000 -> 833 tokens/s
  runs.provenance = {{"fathom binary", "aa", "bb"}};
  EXPECT_EQ(judge(runs, {}).verdict, Verdict::kPass);
  Policy policy;
  policy.max_slowdown = 0.1;
  EXPECT_EQ(judge(runs, policy).verdict, Verdict::kRegressed);
  policy.max_slowdown = 0.2;
  EXPECT_EQ(judge(runs, policy).verdict, Verdict::kPass);
  policy.max_slowdown = 0.1;
  runs.provenance.push_back({"machine", "x", "y"});
  EXPECT_EQ(judge(runs, policy).verdict, Verdict::kInconclusive);
  runs.provenance = {{"weights", "x", "y"}};  // the same binary at the same work: noise of the machine
  EXPECT_EQ(judge(runs, policy).verdict, Verdict::kPass);
  runs.cand.speed = {};
  EXPECT_EQ(judge(runs, policy).verdict, Verdict::kInconclusive);
}

TEST(Gate, OtherAnswersOfTheSameWeightsAreWarnedOf) {
  PairedRuns runs = example_pair({example_paired_task("big", 10'000, 0, 0)});
  runs.cand.info.manifest_sha256 = runs.base.info.manifest_sha256;
  const GateReport report = judge(runs, {});
  EXPECT_EQ(report.verdict, Verdict::kPass);
  ASSERT_THAT(report.warnings, SizeIs(1));
  EXPECT_THAT(report.warnings[0], HasSubstr("10000 documents were answered otherwise by the same weights"));
}

}  // namespace
}  // namespace fathom::results
