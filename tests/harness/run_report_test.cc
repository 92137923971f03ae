#include "harness/run_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "results/schema.h"
#include "results/store.h"
#include "tests/harness/captured_command.h"
#include "tests/results/example_run.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class RunReportTest : public ::testing::Test {
 protected:
  RunReportTest() {
    const results::RunRecord run = results::example_run();
    results::Store store = results::Store::open_for_writing(db_, "0.1.0");
    store.begin_run(run);
    store.commit_samples(results::example_samples(run));
    store.set_checkpoint_files(results::example_files());
    store.finish_run(results::RunStatus::kComplete);
  }

  testing::TemporaryFolder folder_;
  std::string db_ = (folder_ / "results.db").string();
};

TEST_F(RunReportTest, ShowsEveryNumberWithErrorIntervalAndMethods) {
  const std::string text = output_of({"show", "latest", "--db", db_});
  EXPECT_THAT(text, HasSubstr("run 1 example: complete"));
  EXPECT_THAT(text, HasSubstr("samples 18 of 18 stored"));
  // anatomy: targets A B C D A B C D, answer always A: 2 of 8. Wilson: (0.0715, 0.5907)
  EXPECT_THAT(
      text,
      HasSubstr(
          "anatomy  acc                    8   0.2500   0.1637  [0.0715, 0.5907]    sample (n-1); wilson"));
  EXPECT_THAT(text, HasSubstr("exam     acc (micro)           18   0.2778"));
  EXPECT_THAT(text, HasSubstr("anatomy: truncated 1 (12.50 %)"));
}

TEST_F(RunReportTest, JsonHasWhatLmEvalWouldPrint) {
  const json report = json::parse(output_of({"show", "1", "--db", db_, "--json"}));
  EXPECT_EQ(report["status"], "complete");
  EXPECT_EQ(report["plan"]["bos"], "on");
  for (const json& metric : report["metrics"]) {
    if (metric["scope"] != "task:anatomy" || metric["metric"] != "acc") continue;
    EXPECT_DOUBLE_EQ(metric["value"], 0.25);
    EXPECT_NEAR(metric["lmeval_stderr"], 0.1636634176769943, 1e-15);  // numpy: std(ddof=1)/sqrt(8)
    EXPECT_EQ(metric["lmeval_stderr_method"], "lm-eval mean_stderr");
    return;
  }
  ADD_FAILURE() << report.dump(2);
}

TEST_F(RunReportTest, SamplesHaveTheDocumentedKeys) {
  std::istringstream lines(output_of({"samples", "latest", "--db", db_, "--task", "anatomy"}));
  std::string line;
  int n = 0;
  for (; std::getline(lines, line); ++n) {
    const json sample = json::parse(line);
    EXPECT_EQ(sample["task"], "anatomy");
    EXPECT_EQ(sample["doc_id"], n);
    EXPECT_EQ(sample["prompt_sha256"], to_hex(sha256("anatomy question " + std::to_string(n))));
    EXPECT_EQ(sample["choice_logprobs"][0], -0.1234567890123456);
    EXPECT_EQ(sample["is_greedy"], json::parse("[true,false,false,false]"));
    EXPECT_EQ(sample["answers"], json::parse(R"({"none":"A"})"));
    EXPECT_EQ(sample["scores"]["acc"], n % 4 == 0 ? 1.0 : 0.0);
    EXPECT_EQ(sample["finish_reason"], "scored");
    EXPECT_EQ(sample["outcome"], "scored");
    EXPECT_EQ(sample["flags"], n == 3 ? json::parse(R"(["truncated"])") : json::array());
    EXPECT_EQ(sample["target"], std::string(1, static_cast<char>('A' + n % 4)));
    EXPECT_FALSE(sample.contains("rep"));
  }
  EXPECT_EQ(n, 8);
}

TEST_F(RunReportTest, ListsRuns) {
  EXPECT_THAT(output_of({"list", "runs", "--db", db_}), HasSubstr("   1  complete"));
  EXPECT_EQ(json::parse(output_of({"list", "runs", "--db", db_, "--json"}))["samples_stored"], 18);
}

TEST_F(RunReportTest, WrongNamesAreErrorsWithExitCode3) {
  const CapturedCommand wrong_task = capture_command({"samples", "latest", "--db", db_, "--task", "geology"});
  EXPECT_EQ(wrong_task.exit_code, 3);
  EXPECT_THAT(wrong_task.err, HasSubstr("no task or group \"geology\""));
  EXPECT_EQ(capture_command({"show", "7", "--db", db_}).exit_code, 3);
  EXPECT_EQ(capture_command({"show", "latest", "--db", db_ + ".none"}).exit_code, 3);
}

}  // namespace
}  // namespace fathom::harness
