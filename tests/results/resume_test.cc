#include "results/resume.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "results/aggregate.h"
#include "results/runs.h"
#include "results/samples.h"
#include "results/schema.h"
#include "results/store.h"
#include "tests/results/example_run.h"
#include "tests/temporary_folder.h"

namespace fathom::results {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ResumeTest : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "results.db";

  Store open() { return Store::open_for_writing(path_, "0.1.0"); }

  // A run that ends after `n` samples.
  int64_t interrupted(const RunRecord& run, size_t n, Start start = Start::kResume) {
    Store store = open();
    const int64_t run_id = store.begin_run(run, start).run_id;
    std::vector<SampleRecord> samples = example_samples(run);
    samples.resize(n);
    store.commit_samples(samples);
    store.finish_run(RunStatus::kInterrupted, "SIGINT");
    return run_id;
  }

  int64_t completed(const RunRecord& run, Start start = Start::kResume) {
    Store store = open();
    const int64_t run_id = store.begin_run(run, start).run_id;
    store.commit_samples(example_samples(run));
    store.set_checkpoint_files(example_files());
    store.finish_run(RunStatus::kComplete);
    return run_id;
  }

  std::string refusal(const RunRecord& run) {
    Store store = open();
    try {
      store.begin_run(run);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), kExitUsage);
      return error.what();
    }
    return "not refused";
  }
};

TEST_F(ResumeTest, TheSamePlanContinuesWhereItStopped) {
  const RunRecord run = example_run();
  interrupted(run, 5);
  Store store = open();
  const StartedRun started = store.begin_run(run);
  EXPECT_EQ(started.run_id, 1);
  EXPECT_EQ(started.attempt, 2);
  EXPECT_TRUE(started.resumed);
  EXPECT_FALSE(started.complete);
  EXPECT_EQ(started.stored.size(), 5u);
  store.commit_samples(example_samples(run));  // the five that are there stay as they are
  store.set_checkpoint_files(example_files());
  store.finish_run(RunStatus::kComplete);
  const RunInfo info = run_info(store.database(), 1);
  EXPECT_EQ(info.status, RunStatus::kComplete);
  EXPECT_EQ(info.n_stored, 18);
  EXPECT_EQ(store.database().query_int("SELECT count(*) FROM sample WHERE attempt = 1"), 5);
  EXPECT_EQ(store.database().query_int("SELECT count(*) FROM sample"), 18);
}

TEST_F(ResumeTest, OptionsThatCannotChangeAResultDoNotMatter) {
  RunRecord run = example_run();
  interrupted(run, 5);
  run.n_threads = 64;
  run.options_json = R"(["run","exam","--threads","64"])";
  run.build.sha256 = sha256("another binary");
  run.machine_json = R"({"cpu":"another"})";
  EXPECT_EQ(open().begin_run(run).run_id, 1);
}

TEST_F(ResumeTest, AKilledRunIsMarkedInterruptedAndContinues) {
  const RunRecord run = example_run();
  {
    Store store = open();
    store.begin_run(run);
    store.commit_samples(std::vector{example_sample(run, 0, 0)});
  }  // the process ends without a word
  Store store = open();
  EXPECT_EQ(run_info(store.database(), 1).status, RunStatus::kInterrupted);
  EXPECT_EQ(run_info(store.database(), 1).why, "its process was killed");
  EXPECT_EQ(store.begin_run(run).stored.size(), 1u);
}

TEST_F(ResumeTest, AllSamplesStoredButNotFinishedLeavesOnlyTheEnd) {
  const RunRecord run = example_run();
  interrupted(run, 18);
  Store store = open();
  const StartedRun started = store.begin_run(run);
  EXPECT_FALSE(started.complete);
  EXPECT_EQ(started.stored.size(), 18u);
  store.set_checkpoint_files(example_files());
  store.finish_run(RunStatus::kComplete);
  EXPECT_EQ(run_info(store.database(), 1).status, RunStatus::kComplete);
}

TEST_F(ResumeTest, ACompletePlanHasNothingToCompute) {
  const RunRecord run = example_run();
  completed(run);
  {
    Store store = open();
    const StartedRun started = store.begin_run(run);
    EXPECT_EQ(started.run_id, 1);
    EXPECT_TRUE(started.complete);
    EXPECT_EQ(store.database().query_int("SELECT count(*) FROM run_attempt"), 1);
  }
  EXPECT_EQ(open().begin_run(run, Start::kFresh).run_id, 2);
}

TEST_F(ResumeTest, ErrorsOfACompleteRunAreAskedAgain) {
  const RunRecord run = example_run();
  {
    Store store = open();
    store.begin_run(run);
    std::vector<SampleRecord> samples = example_samples(run);
    samples[4].status = SampleStatus::kError;
    samples[4].scores.clear();
    store.commit_samples(samples);
    store.set_checkpoint_files(example_files());
    store.finish_run(RunStatus::kComplete);
  }
  const StartedRun started = open().begin_run(run);
  EXPECT_EQ(started.run_id, 1);
  EXPECT_FALSE(started.complete);
  EXPECT_EQ(started.stored.size(), 17u);
}

TEST_F(ResumeTest, AnotherPlanIsRefusedWithWhatDiffers) {
  RunRecord run = example_run();
  interrupted(run, 5);
  RunRecord other = run;
  other.numerics_json = R"({"dtype":"fp32","kernels":"scalar"})";
  EXPECT_THAT(refusal(other),
              HasSubstr("run 1 of the same tasks on the same model stopped after 5 of 18 samples"));
  EXPECT_THAT(refusal(other), HasSubstr("numerics.dtype: \"bf16\" there, \"fp32\" here"));
  EXPECT_THAT(refusal(other), HasSubstr("--fresh"));
  other = run;
  other.parameters_json = R"({"seed":1})";
  EXPECT_THAT(refusal(other), HasSubstr("parameters.seed: 0 there, 1 here"));
  other = run;
  other.bos = "off";
  EXPECT_THAT(refusal(other), HasSubstr("bos: \"on\" there, \"off\" here"));
  other = run;
  other.tasks[0].dataset.sha256 = sha256("edited data");
  EXPECT_THAT(refusal(other), HasSubstr("tasks.anatomy.dataset:"));
  other = run;
  other.tokenizer.sha256 = sha256("another tokenizer");
  EXPECT_THAT(refusal(other), HasSubstr("tokenizer:"));
  other = run;
  other.tasks[1].docs.resize(3);
  EXPECT_THAT(refusal(other), HasSubstr("tasks.botany.n_docs: 10 there, 3 here"));
  other = run;
  other.checkpoint.weights[0].mtime_ns = 8;
  EXPECT_THAT(refusal(other), HasSubstr("weights.model.safetensors.mtime_ns: 7 there, 8 here"));
  EXPECT_EQ(open().begin_run(other, Start::kFresh).run_id, 2);
}

TEST_F(ResumeTest, OtherNamesModelsAndTasksAreOtherRuns) {
  RunRecord run = example_run();
  interrupted(run, 5);
  run.parameters_json = R"({"seed":1})";
  RunRecord other = run;
  other.name = "another";
  EXPECT_EQ(refusal(other), "not refused");
  other = run;
  other.checkpoint.path = "models/another";
  EXPECT_EQ(refusal(other), "not refused");
  other = run;
  other.tasks.resize(1);
  EXPECT_EQ(refusal(other), "not refused");
}

TEST_F(ResumeTest, WeightsAreToldByContentWhenTheirFilesLookDifferent) {
  RunRecord run = example_run();
  completed(run);
  run.checkpoint.path = "elsewhere/tiny";
  run.checkpoint.weights[0].inode = 77;
  Store store = open();
  EXPECT_TRUE(store.needs_hashes(run));
  run.checkpoint.files = example_files();
  EXPECT_FALSE(store.needs_hashes(run));
  EXPECT_TRUE(store.begin_run(run).complete);
  run.checkpoint.files[0].sha256 = sha256("other weights");
  EXPECT_FALSE(store.begin_run(run).complete);
}

TEST_F(ResumeTest, ContentThatChangedUnderTheSameFileDataIsFound) {
  const RunRecord run = example_run();
  {
    Store store = open();
    store.begin_run(run);
    store.set_checkpoint_files(example_files());
    store.finish_run(RunStatus::kInterrupted, "SIGINT");
  }
  Store store = open();
  EXPECT_TRUE(store.begin_run(run).resumed);
  std::vector<FileIdentity> files = example_files();
  files[0].sha256 = sha256("rewritten in place");
  EXPECT_THROW(store.set_checkpoint_files(files), Error);
}

TEST_F(ResumeTest, ALargerPlanReusesEqualSamplesAndMarksThem) {
  RunRecord small = example_run();
  small.tasks[0].docs.resize(3);
  small.tasks[1].docs.resize(2);
  completed(small);
  const RunRecord large = example_run();
  Store store = open();
  const StartedRun started = store.begin_run(large);
  EXPECT_EQ(started.run_id, 2);
  EXPECT_FALSE(started.resumed);
  EXPECT_EQ(started.n_reused, 5);
  EXPECT_EQ(started.stored.size(), 5u);
  EXPECT_EQ(run_info(store.database(), 2).n_stored, 5);
  store.commit_samples(example_samples(large));
  store.set_checkpoint_files(example_files());
  store.finish_run(RunStatus::kComplete);
  EXPECT_EQ(store.database().query_int("SELECT count(*) FROM sample WHERE reused_from = 1"), 5);
  EXPECT_EQ(
      store.database().query_int("SELECT count(*) FROM score JOIN scoring USING(scoring_id) JOIN run_task"
                                 " USING(run_task_id) WHERE run_id = 2"),
      36);
  const std::vector<TaskRates> rates = task_rates(store.database(), 2);
  EXPECT_EQ(rates[0].n_reused, 3);
  EXPECT_EQ(rates[1].n_reused, 2);
  // Reused twice: still the run that computed it.
  RunRecord third = large;
  third.tasks.resize(1);
  EXPECT_EQ(store.begin_run(third).n_reused, 8);
  EXPECT_EQ(store.database().query_int("SELECT count(*) FROM sample WHERE reused_from = 1"), 8);
}

TEST_F(ResumeTest, NothingIsReusedAcrossDifferentContent) {
  RunRecord small = example_run();
  small.tasks.resize(1);
  completed(small);
  int case_number = 0;
  const auto n_reused = [&](const auto& change, Start start = Start::kResume) {
    RunRecord run = example_run();
    run.name = "case " + std::to_string(++case_number);
    change(run);
    return open().begin_run(run, start).n_reused;
  };
  EXPECT_EQ(n_reused([](RunRecord&) {}), 8);
  EXPECT_EQ(n_reused([](RunRecord&) {}, Start::kFresh), 0);
  EXPECT_EQ(n_reused([](RunRecord& run) { run.numerics_json = R"({"dtype":"fp32"})"; }), 0);
  EXPECT_EQ(n_reused([](RunRecord& run) { run.parameters_json = R"({"seed":9})"; }), 0);
  EXPECT_EQ(n_reused([](RunRecord& run) { run.bos = "off"; }), 0);
  EXPECT_EQ(n_reused([](RunRecord& run) { run.tokenizer.sha256 = sha256("another"); }), 0);
  EXPECT_EQ(n_reused([](RunRecord& run) { run.checkpoint.weights[0].size_bytes = 1; }), 0);
  EXPECT_EQ(n_reused([](RunRecord& run) { run.tasks[0].spec_json = R"({"template":"y"})"; }), 0);
  EXPECT_EQ(n_reused([](RunRecord& run) {
              run.tasks[0].docs.resize(5);  // another plan, so that it does not continue the first case
              run.tasks[0].scorings[0].scorer_version = "2";
            }),
            0);
  EXPECT_EQ(n_reused([](RunRecord& run) {
              run.tasks[0].docs[0].target = "E";
              run.tasks[0].docs[0].sha256 = sha256("the row with target E");
            }),
            7);
}

TEST_F(ResumeTest, ARunJudgedByAnotherScorerVersionIsNotContinued) {
  RunRecord run = example_run();
  interrupted(run, 5);
  run.tasks[0].scorings[0].scorer_version = "2";
  Store store = open();
  try {
    store.begin_run(run);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("fathom rescore 1"));
  }
}

TEST_F(ResumeTest, ResumedNumbersEqualThoseOfTheUndisturbedRun) {
  const RunRecord run = example_run();
  interrupted(run, 7);
  interrupted(run, 12);
  completed(run);  // run 1, third attempt
  const int64_t undisturbed = completed(run, Start::kFresh);
  const Database database = open_for_reading(path_);
  const std::vector<MetricRecord> a = load_metrics(database, 1);
  const std::vector<MetricRecord> b = load_metrics(database, undisturbed);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].value, b[i].value) << a[i].scope;
    EXPECT_EQ(a[i].se, b[i].se) << a[i].scope;
    EXPECT_EQ(a[i].n_missing, 0);
  }
}

TEST(PlanDifferences, NamesEachValueAndMatchesTasksByName) {
  std::vector<std::string> found;
  for (const PlanDifference& d :
       plan_differences(R"({"tasks":[{"name":"a","n":1}],"x":{"y":1}})",
                        R"({"tasks":[{"name":"a","n":2},{"name":"b"}],"x":{"z":1}})")) {
    found.push_back(d.path + " " + d.there.value_or("-") + " " + d.here.value_or("-"));
  }
  EXPECT_THAT(found, ElementsAre("tasks.a.n 1 2", "tasks.b - {\"name\":\"b\"}", "x.y 1 -", "x.z - 1"));
  EXPECT_THAT(plan_differences(R"({"tasks":[]})", R"({"tasks":[]})"), IsEmpty());
}

}  // namespace
}  // namespace fathom::results
