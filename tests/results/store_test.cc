#include "results/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>

#include "base/error.h"
#include "results/aggregate.h"
#include "results/runs.h"
#include "results/samples.h"
#include "results/schema.h"
#include "tests/results/example_run.h"
#include "tests/temporary_folder.h"

namespace fathom::results {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), kExitBadInput);
    return error.what();
  }
  return "no error";
}

class StoreTest : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "results.db";

  Store open() { return Store::open_for_writing(path_, "0.1.0"); }

  int64_t store_whole_run(const RunRecord& run) {
    Store store = open();
    const StartedRun started = store.begin_run(run, Start::kFresh);
    store.commit_samples(example_samples(run));
    store.set_checkpoint_files(example_files());
    store.finish_run(RunStatus::kComplete);
    return started.run_id;
  }
};

TEST_F(StoreTest, KeepsEveryFieldOfASample) {
  const RunRecord run = example_run();
  const int64_t run_id = store_whole_run(run);
  const Database database = open_for_reading(path_);
  std::vector<StoredSample> samples;
  for_each_sample(database, run_id, "", [&](const StoredSample& s) { samples.push_back(s); });
  ASSERT_EQ(samples.size(), 18u);
  const StoredSample& s = samples[3];
  EXPECT_EQ(s.task, "anatomy");
  EXPECT_EQ(s.ordinal, 3);
  EXPECT_EQ(s.target, "D");
  EXPECT_EQ(s.prompt_sha256, sha256("anatomy question 3"));
  EXPECT_EQ(s.ids_sha256, sha256("ids anatomy question 3"));
  EXPECT_THAT(s.choice_logprobs, ElementsAre(-0.1234567890123456, -1.5, -2.5, -6.5));
  EXPECT_THAT(s.choice_greedy, ElementsAre(true, false, false, false));
  EXPECT_EQ(s.gold, 3);
  EXPECT_EQ(s.flags, 1u);
  EXPECT_EQ(s.n_cached, 8);
  EXPECT_EQ(s.finish, Finish::kScored);
  ASSERT_EQ(s.scores.size(), 2u);
  EXPECT_EQ(s.scores[0].metric, "acc");
  EXPECT_EQ(s.scores[0].value, 0.0);
  EXPECT_EQ(s.scores[0].answer, "A");
  EXPECT_EQ(s.outcome(), ScoreOutcome::kScored);
  EXPECT_EQ(samples[8].task, "botany");
}

TEST_F(StoreTest, KeepsGeneratedAnswersAndVerdicts) {
  RunRecord run = example_run(1);
  run.tasks.resize(1);
  run.tasks[0].n_reps = 2;
  run.tasks[0].scorings = {{.metric = "pass", .pass_k = {1, 2}, .headline = true}};
  Store store = open();
  const int64_t run_id = store.begin_run(run).run_id;
  store.add_sandbox_policy(sha256("policy"), "full", R"(["seccomp"])");
  SampleRecord sample = example_sample(run, 0, 0);
  sample.choice_logprobs.clear();
  sample.choice_greedy.clear();
  sample.gold.reset();
  sample.finish = Finish::kStop;
  sample.output = std::string("return 1\0 # zero byte", 21);
  sample.output_ids = {5, 102399, 7};
  sample.output_logprobs = {-0.5f, -0.25f, -0.125f};
  sample.scores = {{.scoring = 0, .value = 1.0, .answer = "pass"}};
  sample.verdicts = {{.verdict = "timeout",
                      .detail = "wall",
                      .signal = 9,
                      .wall_us = 5,
                      .cpu_us = 4,
                      .peak_rss_bytes = 3,
                      .policy_sha256 = sha256("policy")},
                     {.verdict = "pass", .policy_sha256 = sha256("policy")}};
  SampleRecord second = sample;
  second.rep = 1;
  second.scores[0].value = 0.0;
  store.commit_samples(std::vector{sample, second});
  store.set_checkpoint_files(example_files());
  store.finish_run(RunStatus::kComplete);

  std::vector<StoredSample> samples;
  for_each_sample(store.database(), run_id, "anatomy", [&](const StoredSample& s) { samples.push_back(s); });
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].output, sample.output);
  EXPECT_EQ(samples[0].output_ids, sample.output_ids);
  EXPECT_EQ(samples[0].output_logprobs, sample.output_logprobs);
  ASSERT_EQ(samples[0].verdicts.size(), 2u);
  EXPECT_EQ(samples[0].verdicts[0].verdict, "timeout");
  EXPECT_EQ(samples[0].verdicts[0].signal, 9);
  EXPECT_EQ(samples[1].rep, 1);
  const std::vector<MetricRecord> metrics = load_metrics(store.database(), run_id);
  ASSERT_EQ(metrics.size(), 6u);  // micro and macro of the group, then the task, for k 1 and 2
  EXPECT_EQ(metrics[4].name, "pass@1");
  EXPECT_EQ(metrics[4].value, 0.5);
  EXPECT_EQ(metrics[5].name, "pass@2");
  EXPECT_EQ(metrics[5].value, 1.0);
}

TEST_F(StoreTest, CommittingASampleTwiceKeepsTheFirst) {
  const RunRecord run = example_run();
  Store store = open();
  const int64_t run_id = store.begin_run(run).run_id;
  SampleRecord sample = example_sample(run, 0, 0);
  store.commit_samples(std::vector{sample});
  sample.choice_logprobs[0] = -9.0;
  store.commit_samples(std::vector{sample});
  std::vector<StoredSample> samples;
  for_each_sample(store.database(), run_id, "", [&](const StoredSample& s) { samples.push_back(s); });
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].choice_logprobs[0], -0.1234567890123456);
}

TEST_F(StoreTest, AnErrorGivesWayToAnAnswer) {
  const RunRecord run = example_run();
  Store store = open();
  const int64_t run_id = store.begin_run(run).run_id;
  SampleRecord failed = example_sample(run, 0, 0);
  failed.status = SampleStatus::kError;
  failed.error = "too long";
  failed.finish = Finish::kNone;
  failed.scores.clear();
  store.commit_samples(std::vector{failed});
  EXPECT_EQ(run_info(store.database(), run_id).n_errors, 1);
  store.commit_samples(std::vector{example_sample(run, 0, 0)});
  EXPECT_EQ(run_info(store.database(), run_id).n_errors, 0);
  EXPECT_EQ(run_info(store.database(), run_id).n_stored, 1);
}

TEST_F(StoreTest, ErrorsAreMissingAndNeverZero) {
  const RunRecord run = example_run(4);
  Store store = open();
  const int64_t run_id = store.begin_run(run).run_id;
  std::vector<SampleRecord> samples = example_samples(run);
  samples[1].status = SampleStatus::kError;
  samples[1].scores.clear();
  samples[2].scores[0] = {.scoring = 0, .outcome = ScoreOutcome::kError, .why = "scorer failed"};
  store.commit_samples(samples);
  store.set_checkpoint_files(example_files());
  store.finish_run(RunStatus::kComplete);
  for (const MetricRecord& metric : load_metrics(store.database(), run_id)) {
    if (metric.scope != "task:anatomy" || metric.name != "acc") continue;
    EXPECT_EQ(metric.n, 2);
    EXPECT_EQ(metric.n_missing, 2);
    EXPECT_EQ(metric.value, 0.5);  // documents 0 (right) and 3 (wrong)
  }
}

TEST_F(StoreTest, RunsShareIdentities) {
  const RunRecord run = example_run();
  EXPECT_EQ(store_whole_run(run), 1);
  EXPECT_EQ(store_whole_run(run), 2);
  const Database database = open_for_reading(path_);
  for (const std::string table : {"checkpoint", "tokenizer", "build", "machine"}) {
    EXPECT_EQ(database.query_int("SELECT count(*) FROM " + table), 1) << table;
  }
  EXPECT_EQ(database.query_int("SELECT count(*) FROM doc"), 18);
  EXPECT_EQ(database.query_int("SELECT count(*) FROM prompt"), 18);
  EXPECT_EQ(database.query_int("SELECT count(*) FROM sample"), 36);
}

TEST_F(StoreTest, AnotherTargetOfTheSameRowIsAnotherDocument) {
  RunRecord run = example_run();
  store_whole_run(run);
  for (DocRecord& doc : run.tasks[0].docs) doc.target = "the answer " + doc.target;
  store_whole_run(run);
  EXPECT_EQ(open_for_reading(path_).query_int("SELECT count(*) FROM doc"), 18 + 8);
}

TEST_F(StoreTest, ListsRunsNewestFirst) {
  store_whole_run(example_run());
  {
    Store store = open();
    store.begin_run(example_run(), Start::kFresh);
    store.finish_run(RunStatus::kInterrupted, "SIGINT");
  }
  const Database database = open_for_reading(path_);
  const std::vector<RunInfo> runs = list_runs(database);
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].run_id, 2);
  EXPECT_EQ(runs[0].status, RunStatus::kInterrupted);
  EXPECT_EQ(runs[0].why, "SIGINT");
  EXPECT_FALSE(runs[0].manifest_sha256);
  EXPECT_EQ(runs[1].manifest_sha256, manifest_sha256(example_files()));
  EXPECT_THAT(runs[1].tasks, ElementsAre("anatomy", "botany"));
  EXPECT_THAT(runs[1].tags, ElementsAre("nightly"));
  EXPECT_EQ(runs[1].n_planned, 18);
  EXPECT_EQ(runs[1].n_stored, 18);
}

TEST_F(StoreTest, FindsRunsByNumberUuidAndLatest) {
  store_whole_run(example_run());
  store_whole_run(example_run());
  const Database database = open_for_reading(path_);
  EXPECT_EQ(find_run(database, "1"), 1);
  EXPECT_EQ(find_run(database, "latest"), 2);
  EXPECT_EQ(find_run(database, run_info(database, 1).uuid.substr(0, 8)), 1);
  EXPECT_THAT(error_of([&] { find_run(database, "3"); }), HasSubstr("it holds 2 runs, 1 to 2"));
}

TEST_F(StoreTest, WeightsThatChangedDuringTheRunAreRefused) {
  Store store = open();
  store.begin_run(example_run());
  std::vector<FileIdentity> files = example_files();
  files[0].size_bytes = 1;
  EXPECT_THAT(error_of([&] { store.set_checkpoint_files(files); }),
              HasSubstr("changed while the run went on"));
}

TEST_F(StoreTest, ASecondWriterIsRefusedAndReadersAreNot) {
  store_whole_run(example_run());
  Store store = open();
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("is writing to this database"));
  EXPECT_EQ(list_runs(open_for_reading(path_)).size(), 1u);
}

TEST_F(StoreTest, ReadersSeeWhatAnUnfinishedRunCommitted) {
  const RunRecord run = example_run();
  Store store = open();
  store.begin_run(run);
  store.commit_samples(example_samples(run));
  EXPECT_EQ(run_info(open_for_reading(path_), 1).n_stored, 18);
}

TEST_F(StoreTest, ADatabaseOfAnotherProgramIsRefused) {
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "CREATE TABLE t(x)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("database of another program"));
  EXPECT_THAT(error_of([&] { open_for_reading(path_); }), HasSubstr("database of another program"));
}

TEST_F(StoreTest, AnEmptyFileIsFilledByAWriterAndExplainedToAReader) {
  std::ofstream(path_).close();
  EXPECT_THAT(error_of([&] { open_for_reading(path_); }), HasSubstr("is an empty database"));
  EXPECT_EQ(store_whole_run(example_run()), 1);
}

TEST_F(StoreTest, AFileThatIsNoDatabaseIsRefused) {
  std::ofstream(path_) << std::string(10000, 'x');
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("not a fathom results database"));
  EXPECT_THAT(error_of([&] { open_for_reading(path_); }), HasSubstr("not a fathom results database"));
}

TEST_F(StoreTest, ANewerSchemaIsRefused) {
  store_whole_run(example_run());
  {
    Database database(path_, Database::Access::kReadWrite);
    database.execute("UPDATE schema_migration SET min_reader = 900; PRAGMA user_version = 900");
  }
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("newer fathom (schema 900"));
  EXPECT_THAT(error_of([&] { open_for_reading(path_); }), HasSubstr("newer fathom (schema 900"));
  {
    Database database(path_, Database::Access::kReadWrite);
    database.execute("UPDATE schema_migration SET min_reader = 1");
  }
  EXPECT_EQ(list_runs(open_for_reading(path_)).size(), 1u);  // it said that old readers may
  EXPECT_THAT(error_of([&] { open(); }), HasSubstr("newer fathom (schema 900"));
}

TEST_F(StoreTest, AMissingDatabaseSaysHowToMakeOne) {
  EXPECT_THAT(error_of([&] { open_for_reading(path_); }), HasSubstr("no such results database"));
  EXPECT_THAT(error_of([&] { Store::open_for_writing(folder_ / "no/such/results.db", ""); }),
              HasSubstr("check that the folder exists"));
}

}  // namespace
}  // namespace fathom::results
