#include "results/judging/paired_runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/judging/baselines.h"
#include "results/judging/comparison.h"
#include "results/judging/run_speed.h"
#include "results/schema.h"
#include "results/statistics/multiple_testing.h"
#include "results/store.h"
#include "tests/expect_error.h"
#include "tests/results/example_pair.h"
#include "tests/results/example_run.h"
#include "tests/temporary_folder.h"

namespace fathom::results {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PairedRunsTest : public ::testing::Test {
 protected:
  // Stores a finished run of `samples` and returns its number.
  int64_t store(const RunRecord& run, const std::vector<SampleRecord>& samples,
                const std::string& file = "a.db", RunStatus status = RunStatus::kComplete) {
    Store store = Store::open_for_writing(folder_ / file, "test");
    const int64_t run_id = store.begin_run(run, Start::kFresh).run_id;
    store.commit_samples(samples);
    store.set_checkpoint_files(example_files());
    store.finish_run(status, status == RunStatus::kComplete ? "" : "test");
    return run_id;
  }

  PairedRuns pair(int64_t base, int64_t cand, const std::string& cand_file = "a.db") {
    return pair_runs(open_for_reading(folder_ / "a.db"), base, open_for_reading(folder_ / cand_file), cand);
  }

  testing::TemporaryFolder folder_;
  RunRecord run_ = example_run();
  std::vector<SampleRecord> samples_ = example_samples(run_);  // 8 of anatomy, then 10 of botany
};

TEST_F(PairedRunsTest, EqualRunsArePairedWholeAndIdentical) {
  const int64_t a = store(run_, samples_);
  const PairedRuns runs = pair(a, store(run_, samples_));
  ASSERT_THAT(runs.tasks, SizeIs(2));
  EXPECT_THAT(runs.tasks[1].docs, SizeIs(10));
  EXPECT_THAT(runs.tasks[0].groups, ElementsAre("exam"));
  for (const PairedTask& task : runs.tasks) {
    for (const PairedDoc& doc : task.docs) EXPECT_TRUE(doc.identical) << doc.key;
    EXPECT_EQ(task.prompt_differs.n + task.base_only.n + task.cand_only.n, 0);
    EXPECT_EQ(task.base_unscored.n + task.cand_unscored.n, 0);
    ASSERT_THAT(task.series, SizeIs(3));  // acc, acc_norm, gold_logprob
    EXPECT_TRUE(task.series[0].headline);
    EXPECT_EQ(task.series[2].metric, kGoldLogprob);
    EXPECT_EQ(task.series[2].base[0], -0.1234567890123456);  // the target is A
    EXPECT_EQ(task.series[2].base[1], -1.5);                 // B
  }
  EXPECT_THAT(runs.provenance, IsEmpty());
  EXPECT_EQ(count_unexpected_changes(runs), 0);
}

TEST_F(PairedRunsTest, RunsOfTwoDatabasesArePairedByContent) {
  store(example_run(3), example_samples(example_run(3)), "b.db");  // so that row ids differ
  const int64_t a = store(run_, samples_);
  const PairedRuns runs = pair(a, store(run_, samples_, "b.db"), "b.db");
  EXPECT_THAT(runs.tasks[0].docs, SizeIs(8));
  EXPECT_EQ(count_unexpected_changes(runs), 0);
}

TEST_F(PairedRunsTest, AChangedAnswerIsSeenInScoresLogprobsAndAnswers) {
  const int64_t a = store(run_, samples_);
  samples_[0].choice_logprobs[0] = -3.0;
  samples_[0].scores[0] = {.scoring = 0, .value = 0.0, .answer = "B"};
  samples_[1].choice_logprobs[3] = -9.0;  // no score moves, yet the answer is another
  const PairedRuns runs = pair(a, store(run_, samples_));
  const PairedTask& task = runs.tasks[0];
  EXPECT_FALSE(task.docs[0].identical);
  EXPECT_FALSE(task.docs[1].identical);
  EXPECT_TRUE(task.docs[2].identical);
  EXPECT_EQ(task.docs[0].base_answer, "A");
  EXPECT_EQ(task.docs[0].cand_answer, "B");
  EXPECT_EQ(task.series[0].base[0], 1.0);
  EXPECT_EQ(task.series[0].cand[0], 0.0);
  EXPECT_EQ(task.series[2].cand[0], -3.0);
  EXPECT_EQ(count_unexpected_changes(runs), 2);  // same weights, same plan

  const Comparison comparison = compare_runs(runs);
  ASSERT_THAT(comparison.lost, SizeIs(1));
  EXPECT_EQ(comparison.lost[0].doc, "0");
  EXPECT_NEAR(*comparison.lost[0].gold_logprob_change, -3.0 + 0.1234567890123456, 1e-15);
  EXPECT_THAT(comparison.won, IsEmpty());
}

TEST_F(PairedRunsTest, WhatHasNoPartnerIsCountedAndNamed) {
  const int64_t a = store(run_, samples_);
  samples_[2].prompt.ids_sha256 = sha256("other ids");
  samples_[4].status = SampleStatus::kError;
  samples_[4].error = "too long";
  samples_[4].scores.clear();
  samples_.erase(samples_.begin() + 6);  // never stored
  const PairedRuns runs = pair(a, store(run_, samples_));
  const PairedTask& task = runs.tasks[0];
  EXPECT_EQ(task.prompt_differs.n, 1);
  EXPECT_THAT(task.prompt_differs.keys, ElementsAre("2"));
  EXPECT_EQ(task.cand_unscored.n, 2);
  EXPECT_THAT(task.cand_unscored.keys, ElementsAre("6", "4"));
  EXPECT_EQ(task.base_unscored.n, 0);
  EXPECT_THAT(task.series[0].base, SizeIs(5));
  EXPECT_THAT(runs.tasks[1].series[0].base, SizeIs(10));
}

TEST_F(PairedRunsTest, DocumentsOfOtherDataOrBeyondTheLimitBelongToOneRun) {
  const int64_t a = store(run_, samples_);
  RunRecord other = example_run(6);
  other.tasks[0].docs[0].sha256 = sha256("another question");
  const PairedRuns runs = pair(a, store(other, example_samples(other)));
  const PairedTask& task = runs.tasks[0];
  EXPECT_EQ(task.n_base_planned, 8);
  EXPECT_EQ(task.n_cand_planned, 6);
  EXPECT_THAT(task.docs, SizeIs(5));
  EXPECT_THAT(task.base_only.keys, ElementsAre("0", "6", "7"));
  EXPECT_THAT(task.cand_only.keys, ElementsAre("0"));
  EXPECT_EQ(task.base_unscored.n + task.cand_unscored.n, 0);
}

TEST_F(PairedRunsTest, DocumentsStoredInNeitherAreUnscoredInBoth) {
  samples_.resize(16);  // the last two of botany are missing
  const int64_t a = store(run_, samples_);
  const PairedRuns runs = pair(a, store(run_, samples_));
  EXPECT_EQ(runs.tasks[1].base_unscored.n, 2);
  EXPECT_EQ(runs.tasks[1].cand_unscored.n, 2);
  EXPECT_THAT(runs.tasks[1].cand_unscored.keys, IsEmpty());
}

TEST_F(PairedRunsTest, OtherTasksVersionsAndParametersAreNotTheSameQuestion) {
  const int64_t a = store(run_, samples_);
  RunRecord other = run_;
  other.tasks.pop_back();
  other.tasks[0].n_shot = 0;
  other.parameters_json = R"({"seed":1,"temperature":0.5})";
  other.numerics_json = R"({"dtype":"fp32","kernels":"scalar"})";
  const PairedRuns runs = pair(a, store(other, {samples_.begin(), samples_.begin() + 8}));
  EXPECT_THAT(runs.only_base_tasks, ElementsAre("botany"));
  EXPECT_THAT(runs.incomparable, ElementsAre(Field(&PlanDifference::path, "parameters.temperature"),
                                             Field(&PlanDifference::path, "tasks.anatomy.n_shot")));
  EXPECT_THAT(runs.provenance, Contains(Field(&PlanDifference::path, "numerics.dtype")));
  EXPECT_THAT(runs.provenance, Contains(Field(&PlanDifference::path, "parameters.seed")));
  EXPECT_EQ(count_unexpected_changes(runs), std::nullopt);
}

TEST_F(PairedRunsTest, RepeatsAreAveragedBeforeTheyArePaired) {
  run_.tasks.pop_back();
  run_.tasks[0].n_reps = 2;
  std::vector<SampleRecord> samples;
  for (size_t doc = 0; doc < 8; ++doc) {
    for (int64_t rep = 0; rep < 2; ++rep) {
      samples.push_back(example_sample(run_, 0, doc));
      samples.back().rep = rep;
      samples.back().scores[0].value = rep == 0 ? 1.0 : 0.0;
    }
  }
  const int64_t a = store(run_, samples);
  const PairedRuns runs = pair(a, a);
  EXPECT_EQ(runs.tasks[0].series[0].base, std::vector<double>(8, 0.5));
}

TEST_F(PairedRunsTest, SpeedIsThatOfTheThroughputRecord) {
  const int64_t without = store(run_, samples_);
  Store writer = Store::open_for_writing(folder_ / "a.db", "test");
  const int64_t with = writer.begin_run(run_, Start::kFresh).run_id;
  for (int64_t second = 1; second <= 2; ++second) {
    writer.add_tick({.t_us = second * 1'000'000,
                     .dt_us = 1'000'000,
                     .n_samples = 9,
                     .prefill_tokens = 300,
                     .decode_tokens = 50,
                     .cached_tokens = 1000});
  }
  writer.commit_samples(samples_);
  const RunSpeed speed = run_speed(writer.database(), with);
  EXPECT_EQ(speed.n_samples, 18);
  EXPECT_DOUBLE_EQ(speed.tokens_per_s(), 350.0);
  EXPECT_EQ(speed.n_threads, 1);
  EXPECT_EQ(speed.build_sha256, to_hex(sha256("binary")));
  EXPECT_EQ(run_speed(writer.database(), without).tokens_per_s(), 0.0);
}

TEST_F(PairedRunsTest, BaselinesAreNamesThatMove) {
  store(run_, samples_);
  store(run_, samples_);
  Store writer = Store::open_for_writing(folder_ / "a.db", "test");
  Database& database = writer.database();
  set_baseline(database, "nightly", 1);
  EXPECT_EQ(resolve_run(database, "nightly"), 1);
  set_baseline(database, "nightly", 2);
  set_baseline(database, "a-1.b_2", 1);
  EXPECT_EQ(resolve_run(database, "nightly"), 2);
  EXPECT_EQ(resolve_run(database, "1"), 1);
  EXPECT_EQ(resolve_run(database, "latest"), 2);
  ASSERT_THAT(list_baselines(database), SizeIs(2));
  EXPECT_EQ(list_baselines(database)[0].name, "a-1.b_2");
  remove_baseline(database, "nightly");
  testing::expect_bad_input([&] { resolve_run(database, "nightly"); }, {"no run \"nightly\""});
  testing::expect_bad_input([&] { remove_baseline(database, "nightly"); }, {"no baseline \"nightly\""});
  for (const char* name : {"", "12", "latest", "a b", "a/b", "\x1b[2J"}) {
    testing::expect_error(ErrorKind::kUsage, [&] { set_baseline(database, name, 1); },
                          {"a baseline cannot be called"});
  }
}

const ScopeComparison& row_of(const Comparison& comparison, const std::string& scope,
                              const std::string& metric) {
  for (const ScopeComparison& row : comparison.scopes) {
    if (row.scope == scope && row.metric == metric) return row;
  }
  ADD_FAILURE() << scope << " " << metric;
  return comparison.scopes.front();
}

TEST(Comparison, PoolsGroupsAndCorrectsTasksForTheirNumber) {
  std::vector<PairedTask> tasks = {example_paired_task("a", 200, 12, 4, 50, {"exam"}),
                                   example_paired_task("b", 100, 0, 0, 50, {"exam"}),
                                   example_paired_task("c", 100, 9, 2, 50, {"exam"})};
  const Comparison comparison = compare_runs(example_pair(tasks));
  const ScopeComparison& group = row_of(comparison, "group:exam", "acc");
  EXPECT_EQ(group.n, 400);
  EXPECT_EQ(group.flips->lost, 21);
  EXPECT_EQ(group.flips->won, 6);
  EXPECT_NEAR(*group.difference.value, -15.0 / 400, 1e-15);
  EXPECT_FALSE(group.q);
  const ScopeComparison& a = row_of(comparison, "task:a", "acc");
  EXPECT_NEAR(*a.p, 0.076812744140625, 1e-12);  // scipy.stats.binomtest(4, 16).pvalue
  EXPECT_EQ(a.test, "exact McNemar");
  EXPECT_NEAR(*a.mde, 2.801585 * *a.difference.se, 1e-6);
  const ScopeComparison& c = row_of(comparison, "task:c", "acc");
  const std::vector<double> q = benjamini_hochberg(std::vector<double>{*a.p, 1.0, *c.p});
  EXPECT_EQ(a.q, q[0]);
  EXPECT_EQ(c.q, q[2]);
  EXPECT_THAT(comparison.lost, SizeIs(21));
  EXPECT_EQ(comparison.lost[0].task, "a");
}

TEST(Comparison, TheLogProbabilityHasAPairedTestAndABootstrapWithItsSeed) {
  PairedTask task = example_paired_task("small", 5, 0, 0, 5);
  add_gold_logprobs(task, {-1.0, -2.0, -0.5, -0.25, -3.0}, {-1.1, -2.3, -0.5, -0.35, -3.2});
  const Comparison comparison = compare_runs(example_pair({task}));
  const ScopeComparison& row = row_of(comparison, "task:small", kGoldLogprob);
  EXPECT_NEAR(*row.difference.value, -0.14, 1e-12);
  EXPECT_EQ(row.test, "paired t");
  EXPECT_NEAR(*row.p, 0.0516059578111747, 1e-12);  // scipy.stats.ttest_rel
  ASSERT_TRUE(row.bootstrap);
  EXPECT_EQ(row.bootstrap_options.n_draws, 10'000);
  EXPECT_LT(row.bootstrap->interval.high, 0.0);
  EXPECT_FALSE(row_of(comparison, "task:small", "acc").bootstrap);
}

TEST(Comparison, FlipsAreSortedByHowFarTheyMoved) {
  PairedTask task = example_paired_task("t", 4, 3, 1);
  add_gold_logprobs(task, {-1.0, -1.0, -1.0, -5.0}, {-1.5, -4.0, -2.0, -1.0});
  const Comparison comparison = compare_runs(example_pair({task}));
  std::vector<std::string> docs;
  for (const Change& change : comparison.lost) docs.push_back(change.doc);
  EXPECT_THAT(docs, ElementsAre("1", "2", "0"));
  ASSERT_THAT(comparison.won, SizeIs(1));
  EXPECT_EQ(comparison.won[0].doc, "3");
}

}  // namespace
}  // namespace fathom::results
