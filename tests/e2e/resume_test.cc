// Resuming as a user meets it: signals, exit codes, refusals, and what the second command prints.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "results/aggregate.h"
#include "results/runs.h"
#include "results/schema.h"
#include "tests/e2e/child_process.h"
#include "tests/e2e/small_run.h"
#include "tests/temporary_folder.h"

namespace fathom::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kQuestions = 400;

class ResumeFromShell : public ::testing::Test {
 protected:
  ResumeFromShell() { write_small_run(folder_.path(), kQuestions); }

  ProcessEnd run(const std::vector<std::string>& more = {}) {
    ChildProcess child(small_run_args(folder_.path(), "results.db", more), folder_.path(), folder_ / "out",
                       folder_ / "err");
    return child.wait();
  }

  std::string out() const { return read_file(folder_ / "out"); }
  std::string err() const { return read_file(folder_ / "err"); }

  // Starts a run and sends it `signal` once its first samples are on disk.
  ProcessEnd interrupted_by(int signal, const std::vector<std::string>& more = {}) {
    std::vector<std::string> args = {"--committed", (folder_ / "committed").string()};
    args.insert(args.end(), more.begin(), more.end());
    std::filesystem::remove(folder_ / "committed");
    ChildProcess child(small_run_args(folder_.path(), "results.db", args), folder_.path(), folder_ / "out",
                       folder_ / "err");
    while (!std::filesystem::exists(folder_ / "committed") || read_file(folder_ / "committed").empty()) {
      if (const auto end = child.wait_for(std::chrono::milliseconds(2))) return *end;
    }
    child.send(signal);
    return child.wait();
  }

  results::Database database() { return results::open_for_reading(folder_ / "results.db"); }

  TemporaryFolder folder_;
};

TEST_F(ResumeFromShell, CtrlCStoresWhatIsDoneAndTheSameCommandGoesOn) {
  EXPECT_EQ(interrupted_by(SIGINT).exit_code, kExitInterrupted) << err();
  EXPECT_THAT(err(), HasSubstr("the same command goes on where it stopped"));
  const int64_t n_before = results::run_info(database(), 1).n_stored;
  EXPECT_EQ(results::run_info(database(), 1).status, results::RunStatus::kInterrupted);
  EXPECT_EQ(results::run_info(database(), 1).why, "SIGINT");
  EXPECT_GE(n_before, 64) << "the batch at hand is stored";
  EXPECT_LT(n_before, kQuestions);
  EXPECT_EQ(run().exit_code, kExitDone) << err();
  EXPECT_THAT(err(), HasSubstr("samples are in the store already"));
  const results::RunInfo info = results::run_info(database(), 1);
  EXPECT_EQ(info.status, results::RunStatus::kComplete);
  EXPECT_EQ(info.n_stored, kQuestions);
  EXPECT_EQ(database().query_int("SELECT count(*) FROM sample WHERE attempt = 1"), n_before);
}

TEST_F(ResumeFromShell, SigtermEndsWith143) {
  EXPECT_EQ(interrupted_by(SIGTERM).exit_code, kExitTerminated) << err();
  EXPECT_EQ(results::run_info(database(), 1).why, "SIGTERM");
}

TEST_F(ResumeFromShell, ACompletePlanPrintsItsStoredResultAndComputesNothing) {
  ASSERT_EQ(run({"--limit", "70"}).exit_code, kExitDone) << err();
  const std::string first = out();
  EXPECT_THAT(first, HasSubstr("samples 70 of 70 stored"));
  EXPECT_THAT(first, HasSubstr("throughput: 70 samples in"));
  ASSERT_EQ(run({"--limit", "70"}).exit_code, kExitDone) << err();
  EXPECT_EQ(out(), first);
  EXPECT_THAT(err(), HasSubstr("nothing was computed"));
  EXPECT_EQ(database().query_int("SELECT count(*) FROM run_attempt"), 1);
  ASSERT_EQ(run({"--limit", "70", "--fresh"}).exit_code, kExitDone) << err();
  EXPECT_EQ(database().query_int("SELECT count(*) FROM run"), 2);
  EXPECT_EQ(database().query_int("SELECT count(reused_from) FROM sample"), 0);
}

TEST_F(ResumeFromShell, ReusedSamplesAreMarkedAndCounted) {
  ASSERT_EQ(run({"--limit", "70"}).exit_code, kExitDone) << err();
  ASSERT_EQ(run({"--limit", "100"}).exit_code, kExitDone) << err();
  EXPECT_THAT(err(), HasSubstr("70 samples are in the store already, 70 of them computed by other runs"));
  EXPECT_THAT(out(), HasSubstr("reused: 70 of these samples were computed by other runs"));
  EXPECT_THAT(out(), HasSubstr("throughput: 30 samples in"));
  EXPECT_EQ(database().query_int("SELECT count(*) FROM sample WHERE reused_from = 1"), 70);
}

TEST_F(ResumeFromShell, AnUnfinishedRunIsNotContinuedWithOtherDataWeightsParametersOrNumerics) {
  ASSERT_EQ(interrupted_by(SIGINT).exit_code, kExitInterrupted) << err();
  EXPECT_EQ(run({"--seed", "5"}).exit_code, kExitUsage);
  EXPECT_THAT(err(), HasSubstr("parameters.seed: 0 there, 5 here"));
  EXPECT_EQ(run({"--dtype", "bf16"}).exit_code, kExitUsage);
  EXPECT_THAT(err(), HasSubstr("numerics.weights: \"stored\" there, \"bf16\" here"));
  EXPECT_EQ(run({"--attention", "absorbed"}).exit_code, kExitUsage);
  EXPECT_THAT(err(), HasSubstr("numerics.attention"));
  EXPECT_EQ(run({"--bos", "off"}).exit_code, kExitUsage);
  EXPECT_THAT(err(), HasSubstr("bos: \"on\" there, \"off\" here"));

  const auto questions = folder_ / "data/mmlu/test/abstract_algebra_test.csv";
  const std::string before = read_file(questions);
  write_file_atomically(questions, "Another question?,1,2,3,4,A\n" + before);
  EXPECT_EQ(run().exit_code, kExitUsage);
  EXPECT_THAT(err(), HasSubstr("tasks.mmlu_abstract_algebra.dataset"));
  write_file_atomically(questions, before);

  const auto weights = folder_ / "model/model.safetensors";
  std::string bytes = read_file(weights);
  bytes.back() ^= 1;
  write_file_atomically(weights, bytes);
  EXPECT_EQ(run().exit_code, kExitUsage);
  EXPECT_THAT(err(), HasSubstr("weights.model.safetensors"));
  EXPECT_EQ(results::run_info(database(), 1).status, results::RunStatus::kInterrupted)
      << "no refusal touches it";
  EXPECT_EQ(run({"--fresh"}).exit_code, kExitDone) << err();
}

TEST_F(ResumeFromShell, RehashFindsWeightsThatChangedUnderTheSameSizeAndTime) {
  const auto weights = folder_ / "model/model.safetensors";
  const struct timespec old_times[2] = {{1'600'000'000, 0}, {1'600'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, weights.c_str(), old_times, 0), 0);
  ASSERT_EQ(run({"--limit", "70"}).exit_code, kExitDone) << err();
  {
    std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);  // the same inode
    file.seekg(-1, std::ios::end);
    const char last = static_cast<char>(file.get());
    file.seekp(-1, std::ios::end);
    file.put(static_cast<char>(last ^ 1));
  }
  ASSERT_EQ(::utimensat(AT_FDCWD, weights.c_str(), old_times, 0), 0);
  ASSERT_EQ(run({"--limit", "70"}).exit_code, kExitDone) << err();
  EXPECT_EQ(database().query_int("SELECT count(*) FROM run"), 1) << "size, time and inode are the same";
  ASSERT_EQ(run({"--limit", "70", "--rehash"}).exit_code, kExitDone) << err();
  EXPECT_EQ(database().query_int("SELECT count(*) FROM run"), 2);
  EXPECT_EQ(database().query_int("SELECT count(DISTINCT checkpoint_id) FROM run"), 2);
}

TEST_F(ResumeFromShell, ALocalCopySurvivesAKillAndIsCopiedBack) {
  std::filesystem::create_directory(folder_ / "local");
  const std::vector<std::string> local = {"--db-local", (folder_ / "local").string()};
  EXPECT_EQ(interrupted_by(SIGKILL, local).signal, SIGKILL);
  EXPECT_EQ(database().query_int("SELECT count(*) FROM run"), 0) << "the work is in the local folder";
  ASSERT_EQ(run(local).exit_code, kExitDone) << err();
  EXPECT_THAT(err(), HasSubstr("samples are in the store already"));
  EXPECT_EQ(results::run_info(database(), 1).n_stored, kQuestions);
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "local"));
  ASSERT_EQ(run().exit_code, kExitDone) << err();
  EXPECT_THAT(err(), HasSubstr("nothing was computed"));
}

}  // namespace
}  // namespace fathom::testing
