#include "results/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/schema.h"
#include "tests/results/stored_runs.h"
#include "tests/temporary_folder.h"

namespace fathom::results {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CheckTest : public ::testing::Test {
 protected:
  CheckTest() {
    store_complete(path_, example_run());
    store_interrupted(path_, another_run(), 5);
  }

  std::vector<std::string> problems_after(const std::string& sql) {
    tamper(path_, sql);
    return check_database(open_for_reading(path_)).problems;
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "results.db";
};

TEST_F(CheckTest, ASoundDatabaseHasNoProblems) {
  const CheckReport report = check_database(open_for_reading(path_));
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_EQ(report.n_runs, 2);
  EXPECT_EQ(report.n_samples, 18 + 5);
}

TEST_F(CheckTest, FindsALostSampleOfACompleteRun) {
  EXPECT_THAT(
      problems_after(
          "DELETE FROM sample WHERE sample_id = 3; DELETE FROM sample_io WHERE sample_id = 3;"
          " DELETE FROM score WHERE sample_id = 3; UPDATE run_task SET n_stored = 7 WHERE run_task_id = 1"),
      ::testing::Contains("run 1, anatomy: complete with 7 of 8 samples"));
}

TEST_F(CheckTest, FindsWrongCounters) {
  EXPECT_THAT(problems_after("UPDATE run_task SET n_errors = 2 WHERE run_task_id = 2"),
              ElementsAre("run 1, botany: its counters say 10 samples and 2 errors, it has 10 and 0"));
}

TEST_F(CheckTest, FindsContentThatItsHashDoesNotName) {
  EXPECT_THAT(problems_after("UPDATE text SET content = 'edited' WHERE text_id = 2"),
              ElementsAre("text 2: its content has another hash"));
}

TEST_F(CheckTest, FindsAnEditedPlan) {
  EXPECT_THAT(problems_after("UPDATE run SET plan = json_set(plan, '$.bos', 'off') WHERE run_id = 1"),
              ElementsAre("run 1: its content has another hash"));
}

TEST_F(CheckTest, FindsAnEditedManifest) {
  EXPECT_THAT(problems_after("UPDATE checkpoint_file SET size_bytes = 1"),
              ElementsAre("checkpoint 1: its files have another manifest hash"));
}

TEST_F(CheckTest, FindsAnEditedScore) {
  EXPECT_THAT(problems_after("UPDATE score SET value = 1 WHERE scoring_id = 1 AND sample_id = 2"),
              ::testing::Contains(HasSubstr(
                  "run 1, task:anatomy acc: the stored value 0.25 over 8 is not what the scores give")));
}

TEST_F(CheckTest, FindsAMissingScore) {
  EXPECT_THAT(problems_after("DELETE FROM score WHERE scoring_id = 2 AND sample_id = 4"),
              ::testing::Contains("sample 4: an answer without a score of the newest version of a scorer"));
}

TEST_F(CheckTest, FindsOtherDocumentsThanThePlans) {
  EXPECT_THAT(problems_after("UPDATE doc SET sha256 = randomblob(32) WHERE doc_id = 4"),
              ElementsAre("run 1, anatomy: the answered documents are not those of the plan"));
}

TEST_F(CheckTest, FindsACompleteRunWithoutWeights) {
  EXPECT_THAT(problems_after("UPDATE run SET checkpoint_id = NULL WHERE run_id = 1"),
              ElementsAre("run 1: complete, but its weights have no hash"));
}

TEST_F(CheckTest, FindsRowsThatReferToNothing) {
  EXPECT_THAT(problems_after("DELETE FROM prompt WHERE prompt_id = 2"),
              ::testing::Contains(HasSubstr("sample: row 2")));
}

TEST_F(CheckTest, JsonOfTheWrongFormIsAProblemAndNoCrash) {
  EXPECT_THAT(problems_after("UPDATE run_task SET groups = '{}'"),
              ElementsAre(HasSubstr("a column of JSON")));
}

TEST_F(CheckTest, ALongListIsCutWithItsLength) {
  const std::vector<std::string> problems = problems_after("DELETE FROM sample_io; DELETE FROM score");
  EXPECT_EQ(problems.size(), kMostProblems + 1);
  EXPECT_THAT(problems.back(), HasSubstr("more"));
}

}  // namespace
}  // namespace fathom::results
