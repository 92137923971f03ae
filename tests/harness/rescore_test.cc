// `fathom rescore` on runs made by `fathom run`; an older scorer is pretended by editing its version and its
// scores.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "results/aggregate.h"
#include "results/check.h"
#include "results/schema.h"
#include "tests/e2e/small_run.h"
#include "tests/harness/captured_command.h"
#include "tests/results/stored_runs.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RescoreTest : public ::testing::Test {
 protected:
  RescoreTest() { testing::write_small_run(folder_.path(), 12); }

  int command(const std::vector<std::string>& args) {
    CapturedCommand command = capture_command(args);
    out_ = std::move(command.out);
    err_ = std::move(command.err);
    return command.exit_code;
  }

  int rescore(const std::vector<std::string>& more = {}) {
    std::vector<std::string> args = {"rescore", "1", "--db", db_, "--data", (folder_ / "data").string()};
    args.insert(args.end(), more.begin(), more.end());
    return command(args);
  }

  int run(const std::string& task, const std::vector<std::string>& more = {}) {
    std::vector<std::string> args = testing::small_run_args(folder_.path(), "results.db", more);
    args[1] = task;
    return command(args);
  }

  // As if version 0 had judged, and judged everything wrong.
  void pretend_older_scorer() {
    results::tamper(db_,
                    "UPDATE scoring SET scorer_version = '0'; UPDATE score SET value = 0, answer = 'old'");
    results::Database database(db_, results::Database::Access::kReadWrite);
    results::store_metrics(database, 1);
  }

  double value_of(const std::string& name) {
    for (const results::MetricRecord& m : results::load_metrics(results::open_for_reading(db_), 1)) {
      if (m.name == name) return m.value.value();
    }
    ADD_FAILURE() << "no metric " << name;
    return -1;
  }

  testing::TemporaryFolder folder_;
  std::string db_ = (folder_ / "results.db").string();
  std::string out_;
  std::string err_;
};

TEST_F(RescoreTest, GivesTheScoresThatARunOfThisVersionGivesAndKeepsTheOld) {
  ASSERT_EQ(run("mmlu_abstract_algebra"), 0) << err_;
  const double right = value_of("acc");
  ASSERT_GT(right, 0.0) << "the test needs a right answer";
  pretend_older_scorer();
  ASSERT_EQ(value_of("acc"), 0.0);
  ASSERT_EQ(rescore(), 0) << err_;
  EXPECT_EQ(value_of("acc"), right);
  EXPECT_THAT(err_, HasSubstr("12 answers of 1 task(s) judged by version 1"));
  EXPECT_THAT(err_, HasSubstr("task:mmlu_abstract_algebra acc (none, mean): 0.0000 before"));
  EXPECT_THAT(out_, HasSubstr("run 1: complete"));
  const results::Database database = results::open_for_reading(db_);
  EXPECT_EQ(database.query_int(
                "SELECT count(*) FROM score JOIN scoring USING(scoring_id) WHERE scorer_version = '0'"),
            12);
  EXPECT_EQ(database.query_int(
                "SELECT count(*) FROM score JOIN scoring USING(scoring_id) WHERE scorer_version = '1'"),
            12);
  EXPECT_THAT(results::check_database(database).problems, IsEmpty());
}

TEST_F(RescoreTest, DoesNothingWhenThisVersionHasJudgedAlready) {
  ASSERT_EQ(run("mmlu_abstract_algebra"), 0) << err_;
  ASSERT_EQ(rescore(), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("nothing was done"));
  EXPECT_EQ(results::open_for_reading(db_).query_int("SELECT count(*) FROM scoring"), 1);
}

TEST_F(RescoreTest, NeedsNoModel) {
  ASSERT_EQ(run("mmlu_abstract_algebra"), 0) << err_;
  pretend_older_scorer();
  std::filesystem::remove_all(folder_ / "model");
  EXPECT_EQ(rescore(), 0) << err_;
}

TEST_F(RescoreTest, ARunOfAnOlderScorerIsContinuedAfterwards) {
  ASSERT_EQ(run("mmlu_abstract_algebra"), 0) << err_;
  pretend_older_scorer();
  results::tamper(db_,
                  "DELETE FROM score WHERE sample_id = 12; DELETE FROM sample_io WHERE sample_id = 12;"
                  "DELETE FROM sample WHERE sample_id = 12; UPDATE run_task SET n_stored = 11; UPDATE run "
                  "SET status = 'failed'");
  EXPECT_EQ(run("mmlu_abstract_algebra"), 3);
  EXPECT_THAT(err_, HasSubstr("fathom rescore 1"));
  ASSERT_EQ(rescore(), 0) << err_;
  EXPECT_EQ(run("mmlu_abstract_algebra"), 0) << err_;
  EXPECT_THAT(results::check_database(results::open_for_reading(db_)).problems, IsEmpty());
}

TEST_F(RescoreTest, OtherDataIsRefusedAndNothingIsStored) {
  ASSERT_EQ(run("mmlu_abstract_algebra"), 0) << err_;
  pretend_older_scorer();
  const auto file = folder_ / "data/mmlu/test/abstract_algebra_test.csv";
  std::string questions = read_file(file);
  questions.replace(questions.find("What is 3"), 9, "What is 8");
  write_file_atomically(file, questions);
  EXPECT_EQ(rescore(), 3);
  EXPECT_THAT(err_, HasSubstr("row 3 of this data set is not the one that was asked"));
  EXPECT_EQ(
      results::open_for_reading(db_).query_int("SELECT count(*) FROM scoring WHERE scorer_version = '1'"), 0);
}

TEST_F(RescoreTest, UnknownRunsAndFilesAreErrors) {
  EXPECT_EQ(rescore(), 3);
  EXPECT_FALSE(std::filesystem::exists(db_)) << "a misspelt name makes no database";
  ASSERT_EQ(run("mmlu_abstract_algebra"), 0) << err_;
  EXPECT_EQ(command({"rescore", "7", "--db", db_}), 3);
}

}  // namespace
}  // namespace fathom::harness
