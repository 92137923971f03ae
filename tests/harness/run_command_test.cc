// `fathom run` from the command line to the stored table, on a checkpoint of random weights and problems made
// here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "tests/engine/golden_weights.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class RunCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    json config = engine::golden::config('A');
    config["vocab_size"] = 520;
    config["eos_token_id"] = nullptr;
    std::filesystem::create_directories(folder_ / "model");
    engine::golden::write_checkpoint(folder_ / "model", config, engine::golden::tensors(config, {}));
    for (const char* file : {"tokenizer.json", "tokenizer_config.json"}) {
      std::filesystem::copy(std::filesystem::path(FATHOM_SOURCE_DIR "/tests/golden/tokenizer") / file,
                            folder_ / "model" / file);
    }
  }

  // A problem whose test is the given program; any answer to it is checked by that program alone.
  static json problem(const std::string& id, const std::string& test) {
    return {{"task_id", id},
            {"prompt", "def f():\n    return 1\n#"},
            {"entry_point", "f"},
            {"canonical_solution", ""},
            {"test", test}};
  }

  void write_problems(const std::vector<json>& problems) {
    std::string text;
    for (const json& row : problems) text += row.dump() + "\n";
    std::filesystem::create_directories(folder_ / "data/humaneval");
    write_file_atomically(folder_ / "data/humaneval/HumanEval.jsonl.gz", text);
  }

  // The program itself and not run_command_line(): the sandbox starts its supervisor from /proc/self/exe.
  int run(const std::string& task, const std::string& options) {
    return fathom(
        fmt::format("run {} --model {} --data {} --db {} --threads 1 --max-new-tokens 2 --output {} {}", task,
                    (folder_ / "model").string(), (folder_ / "data").string(), db(), report_path(), options));
  }

  int fathom(const std::string& arguments) {
    const std::string out = folder_ / "out";
    const std::string err = folder_ / "err";
    const int status =
        std::system(fmt::format("{} {} > {} 2> {}", FATHOM_BINARY, arguments, out, err).c_str());
    out_ = read_file(out);
    err_ = read_file(err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::string db() const { return folder_ / "results.db"; }
  std::string report_path() const { return folder_ / "report.json"; }
  json report() const { return json::parse(read_file(report_path())); }

  testing::TemporaryFolder folder_;
  std::string out_;
  std::string err_;
};

constexpr const char* kPasses = "def check(candidate):\n    assert candidate() == 1\n";
constexpr const char* kFails = "def check(candidate):\n    assert candidate() == 2\n";
constexpr const char* kBrokenTest = "def check(candidate:\n";

TEST_F(RunCommand, SampledHumanEvalReportsEveryKThatItsAnswersCanEstimate) {
  write_problems({problem("A/0", kPasses), problem("A/1", kFails)});
  const int exit_code = run("humaneval_sampled", "--repeats 10");
  if (exit_code == kExitEnvironment) GTEST_SKIP() << "skipped: this machine offers no sandbox level";
  ASSERT_EQ(exit_code, kExitDone) << err_;
  EXPECT_THAT(err_,
              HasSubstr("humaneval_sampled: pass@100 left out: 10 answers to each problem are not enough"));
  std::vector<std::string> names;
  const json metrics = report()["metrics"];
  for (const json& metric : metrics) names.push_back(metric["metric"]);
  EXPECT_THAT(names, ::testing::ElementsAre("pass@1", "pass@10"));
  EXPECT_EQ(metrics.at(1)["n"], 2);
  EXPECT_THAT(out_, HasSubstr("pass@10"));
}

TEST_F(RunCommand, GreedyHumanEvalReportsPassAt1WithoutANote) {
  write_problems({problem("A/0", kPasses)});
  const int exit_code = run("humaneval", "");
  if (exit_code == kExitEnvironment) GTEST_SKIP() << "skipped: this machine offers no sandbox level";
  ASSERT_EQ(exit_code, kExitDone) << err_;
  EXPECT_THAT(err_, ::testing::Not(HasSubstr("left out")));
  ASSERT_EQ(report()["metrics"].size(), 1u);
  EXPECT_EQ(report()["metrics"][0]["metric"], "pass@1");
  EXPECT_EQ(report()["metrics"][0]["headline"], true);
}

TEST_F(RunCommand, AnAnswerThatCouldNotBeJudgedIsMissingAndEndsWithExitCodeSix) {
  write_problems({problem("A/0", kPasses), problem("A/1", kBrokenTest)});
  const int exit_code = run("humaneval", "");
  if (exit_code == kExitEnvironment) GTEST_SKIP() << "skipped: this machine offers no sandbox level";
  EXPECT_EQ(exit_code, kExitUnscored) << err_;
  EXPECT_THAT(out_, HasSubstr("samples 2 of 2 stored, 1 that could not be judged"));
  EXPECT_EQ(report()["samples_without_answer"], 0);
  EXPECT_EQ(report()["samples_without_score"], 1);
  EXPECT_EQ(report()["metrics"][0]["n_missing"], 1);
  EXPECT_EQ(run("humaneval", ""), kExitUnscored) << "and again, when the stored run is shown";
  EXPECT_EQ(fathom(fmt::format("rescore 1 --db {} --data {}", db(), (folder_ / "data").string())),
            kExitUnscored)
      << "and when its answers are judged again";
}

}  // namespace
}  // namespace fathom::harness
