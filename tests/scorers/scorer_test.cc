#include "scorers/scorer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tasks/registry.h"

namespace fathom::scorers {
namespace {

using tasks::ScorerId;
using tasks::TaskKind;

tasks::Task task_of(TaskKind kind, ScorerId scorer, std::vector<tasks::Metric> metrics) {
  tasks::Task task;
  task.name = "test";
  task.kind = kind;
  task.scorer = scorer;
  task.metrics = std::move(metrics);
  return task;
}

tasks::Sample sample_of(std::string target, nlohmann::json fields = nlohmann::json::object()) {
  tasks::Sample sample;
  sample.target = std::move(target);
  sample.fields = std::move(fields);
  return sample;
}

Response generated(std::string text, std::string finish_reason = "stop") {
  Response response;
  response.text = std::move(text);
  response.finish_reason = std::move(finish_reason);
  return response;
}

TEST(Scorer, ChoiceTasksGetTheMetricsTheyAskFor) {
  Response response;
  response.choice_logprobs = {-6, -4};
  const tasks::Sample sample = sample_of("A", {{"choices", {"a very long choice", "b"}}, {"gold", 0}});
  const auto task = task_of(TaskKind::kChoice, ScorerId::kChoiceNormalised, {{"acc_norm"}, {"acc"}});
  const SampleScore score = score_sample(task, sample, response);
  ASSERT_EQ(score.scores.size(), 2u);
  EXPECT_EQ(score.scores[0].metric, "acc_norm");
  EXPECT_EQ(score.scores[0].value, 1.0);
  EXPECT_EQ(score.scores[0].answer, "A");
  EXPECT_EQ(score.scores[1].metric, "acc");
  EXPECT_EQ(score.scores[1].value, 0.0);
  EXPECT_EQ(score.scores[1].answer, "B");
  EXPECT_EQ(score.margin, -2.0);
}

const std::vector<tasks::Metric> kNumberMetrics = {
    {"exact_match", "strict-match"}, {"exact_match", "flexible-extract"}, {"exact_match", "fathom"}};

TEST(Scorer, NumberTasksKeepTheReferencesAnswersBesideFathoms) {
  const auto task = task_of(TaskKind::kGenerate, ScorerId::kGsm8k, kNumberMetrics);
  const SampleScore score = score_sample(task, sample_of("18"), generated("She makes $18.00"));
  ASSERT_EQ(score.scores.size(), 3u);
  EXPECT_EQ(score.scores[0].answer, "[invalid]");
  EXPECT_EQ(score.scores[0].outcome, Outcome::kNoAnswer);
  EXPECT_EQ(score.scores[0].value, 0.0);
  EXPECT_EQ(score.scores[1].answer, "$18.00");
  EXPECT_EQ(score.scores[1].value, 0.0);
  EXPECT_EQ(score.scores[1].outcome, Outcome::kScored);
  EXPECT_EQ(score.scores[2].answer, "18");
  EXPECT_EQ(score.scores[2].value, 1.0);
  EXPECT_THAT(flag_names(score.flags), testing::ElementsAre("unparsed"));  // by the headline filter
}

TEST(Scorer, TheStrictFilterIsTheTasksOwn) {
  const Response response = generated("#### 5\nThe answer is 18");
  const std::vector<tasks::Metric> strict = {{"exact_match", "strict-match"}};
  const auto plain = task_of(TaskKind::kGenerate, ScorerId::kGsm8k, strict);
  EXPECT_EQ(score_sample(plain, sample_of("5"), response).scores[0].answer, "5");
  const auto cot = task_of(TaskKind::kGenerate, ScorerId::kGsm8kCot, strict);
  EXPECT_EQ(score_sample(cot, sample_of("5"), response).scores[0].answer, "1");
}

TEST(Scorer, TheDeepseekRuleComparesValues) {
  const auto task = task_of(TaskKind::kGenerate, ScorerId::kGsm8kDeepseek, {{"exact_match", "deepseek"}});
  const SampleScore score = score_sample(task, sample_of("1,234"), generated("The answer is $1234.00."));
  EXPECT_EQ(score.scores[0].answer, "$1234.00");
  EXPECT_EQ(score.scores[0].value, 1.0);
  EXPECT_EQ(score_sample(task, sample_of("1,234"), generated("The answer is 1235.")).scores[0].value, 0.0);
}

TEST(Scorer, LetterTasksScoreTheWholeLineAndTheLetter) {
  const auto task = task_of(TaskKind::kGenerate, ScorerId::kLetterMatch,
                            {{"exact_match", "get_response"}, {"exact_match", "fathom"}});
  const SampleScore score = score_sample(task, sample_of("A"), generated(" A. foo"));
  EXPECT_EQ(score.scores[0].answer, "A. foo");
  EXPECT_EQ(score.scores[0].value, 0.0);
  EXPECT_EQ(score.scores[1].answer, "A");
  EXPECT_EQ(score.scores[1].value, 1.0);
  EXPECT_EQ(score.flags, 0u);
}

TEST(Scorer, EmptyAndCutAnswersAreFlagged) {
  const auto task = task_of(TaskKind::kGenerate, ScorerId::kGsm8k, kNumberMetrics);
  EXPECT_THAT(flag_names(score_sample(task, sample_of("18"), generated("")).flags),
              testing::ElementsAre("empty", "unparsed"));
  EXPECT_THAT(flag_names(score_sample(task, sample_of("18"), generated("#### 18", "length")).flags),
              testing::ElementsAre("length"));
}

TEST(Scorer, CodeTasksTakeTheVerdict) {
  const auto task = task_of(TaskKind::kCode, ScorerId::kHumaneval, {{"pass@1"}});
  Response response = generated("    return 1\n", "length");
  response.verdict = "timeout";
  const SampleScore score = score_sample(task, sample_of("check(f)"), response);
  EXPECT_EQ(score.scores[0].value, 0.0);
  EXPECT_THAT(flag_names(score.flags), testing::ElementsAre("length"));
}

TEST(Scorer, OnlyAnInstructCompletionIsCutAtTheFence) {
  EXPECT_EQ(code_completion(ScorerId::kHumaneval, "x\n```\ny"), "x\n```\ny");
  EXPECT_EQ(code_completion(ScorerId::kHumanevalInstruct, "x\n```\ny"), "x\n");
}

TEST(Scorer, NeedleTasksReadTheirKeywords) {
  const auto single = task_of(TaskKind::kNeedle, ScorerId::kNeedle, {{"needle_score"}});
  const tasks::Sample one = sample_of("", {{"keywords", {"sandwich", "Dolores Park"}}});
  EXPECT_EQ(score_sample(single, one, generated("A sandwich.")).scores[0].value, 5.5);
  const auto multi = task_of(TaskKind::kNeedle, ScorerId::kNeedleMulti, {{"needle_score"}});
  const tasks::Sample two = sample_of(
      "figs, prosciutto",
      {{"needles", {{{"needle", "x"}, {"keyword", "figs"}}, {{"needle", "y"}, {"keyword", "ham"}}}}});
  EXPECT_EQ(score_sample(multi, two, generated("Figs and ham.")).scores[0].value, 10.0);
}

// A sample that holds what any of the scorers reads.
tasks::Sample sample_for_every_scorer() {
  return sample_of("18", {{"choices", {"w", "x", "y", "z"}},
                          {"gold", 1},
                          {"keywords", {"18"}},
                          {"needles", {{{"needle", "It is 18."}, {"keyword", "18"}}}}});
}

TEST(Scorer, EveryRegisteredTaskGetsExactlyTheMetricsItDeclares) {
  Response response = generated("#### 18");
  response.choice_logprobs = {-2, -1, -3, -4};
  response.verdict = "pass";
  ASSERT_GT(tasks::all_tasks().size(), 57u);
  for (const tasks::Task& task : tasks::all_tasks()) {
    const SampleScore score = score_sample(task, sample_for_every_scorer(), response);
    ASSERT_EQ(score.scores.size(), task.metrics.size()) << task.name;
    for (size_t i = 0; i < task.metrics.size(); ++i) {
      EXPECT_EQ(score.scores[i].metric, task.metrics[i].name) << task.name;
      EXPECT_EQ(score.scores[i].filter, task.metrics[i].filter) << task.name;
    }
  }
}

TEST(ScorerDeathTest, AFilterThatNobodyWroteIsABug) {
  const auto task = task_of(TaskKind::kGenerate, ScorerId::kGsm8k, {{"exact_match", "lenient"}});
  EXPECT_DEATH(score_sample(task, sample_of("18"), generated("18")), "filter lenient");
}

}  // namespace
}  // namespace fathom::scorers
