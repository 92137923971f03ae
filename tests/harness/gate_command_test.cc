// `fathom compare`, `fathom gate` and `fathom baseline` from the command line: every exit code, every output.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "results/judging/policy.h"
#include "results/schema.h"
#include "results/store.h"
#include "results/writer_lock.h"
#include "tests/harness/captured_command.h"
#include "tests/results/example_run.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class GateCommand : public ::testing::Test {
 protected:
  using Change = std::function<void(results::SampleRecord&)>;

  // Stores a run of two tasks with n and n + 2 documents whose samples `change` has altered; returns its
  // number.
  int64_t store(int64_t n_docs, const Change& change = {}, const std::string& file = "a.db",
                results::RunStatus status = results::RunStatus::kComplete,
                const std::function<void(results::RunRecord&)>& change_run = {}) {
    results::RunRecord run = results::example_run(n_docs);
    if (change_run) change_run(run);
    std::vector<results::SampleRecord> samples = results::example_samples(run);
    if (change) std::for_each(samples.begin(), samples.end(), change);
    results::Store store = results::Store::open_for_writing(folder_ / file, "test");
    const int64_t run_id = store.begin_run(run, results::Start::kFresh).run_id;
    store.commit_samples(samples);
    store.set_checkpoint_files(results::example_files());
    store.finish_run(status, status == results::RunStatus::kComplete ? "" : "signal");
    return run_id;
  }

  // Makes the given documents of anatomy wrong.
  static Change wrong(size_t first, size_t last) {
    return [first, last](results::SampleRecord& sample) {
      if (sample.task != 0 || sample.doc < first || sample.doc >= last) return;
      sample.choice_logprobs[0] = -4.0;
      for (results::ScoreRecord& score : sample.scores)
        score = {.scoring = score.scoring, .value = 0.0, .answer = "D"};
    };
  }

  // Moves a log-probability a little: other answers, the same scores.
  static Change nudge() {
    return [](results::SampleRecord& sample) { sample.choice_logprobs[3] -= 1e-9; };
  }

  int command(std::vector<std::string> args) {
    CapturedCommand command = capture_command(args);
    out_ = std::move(command.out);
    err_ = std::move(command.err);
    return command.exit_code;
  }

  int gate(const std::vector<std::string>& more = {}) {
    std::vector<std::string> args = {"gate", "--base", "1", "--cand", "2", "--db", db()};
    args.insert(args.end(), more.begin(), more.end());
    return command(args);
  }

  std::string db(const std::string& file = "a.db") const { return folder_ / file; }
  int64_t n_verdicts() const {
    return results::open_for_reading(db()).query_int("SELECT count(*) FROM verdict");
  }

  testing::TemporaryFolder folder_;
  std::string out_;
  std::string err_;
};

TEST_F(GateCommand, PassIsExitCode0) {
  store(1000);
  store(1000, nudge());
  EXPECT_EQ(gate(), kExitDone) << out_ << err_;
  EXPECT_THAT(out_, HasSubstr("gate: PASS (exit code 0)"));
  EXPECT_THAT(out_,
              HasSubstr("policy     " + to_hex(results::policy_sha256({})).substr(0, 12) + " (default)"));
  EXPECT_THAT(out_, HasSubstr("group:exam"));
  EXPECT_LT(std::count(out_.begin(), out_.end(), '\n'), 24) << "one screen";
}

TEST_F(GateCommand, RegressedIsExitCode10) {
  store(1000);
  store(1000, wrong(0, 400));  // 100 of them were right
  EXPECT_EQ(gate(), kExitGateRegressed) << out_ << err_;
  EXPECT_THAT(out_, HasSubstr("gate: REGRESSED (exit code 10)"));
  EXPECT_THAT(out_, HasSubstr("1 of 2 members worse: anatomy (-0.1000)"));
}

TEST_F(GateCommand, InconclusiveIsExitCode11) {
  store(20);
  store(20, nudge());
  EXPECT_EQ(gate(), kExitGateInconclusive) << out_ << err_;
  EXPECT_THAT(out_, HasSubstr("documents find changes of"));
}

TEST_F(GateCommand, NotComparableIsExitCode12) {
  store(20);
  store(20, {}, "a.db", results::RunStatus::kComplete,
        [](results::RunRecord& run) { run.tasks[1].n_shot = 0; });
  EXPECT_EQ(gate(), kExitGateNotComparable) << out_ << err_;
  EXPECT_THAT(out_, HasSubstr("tasks.botany.n_shot: 5 in the base, 0 in the candidate"));
}

TEST_F(GateCommand, IncompleteIsExitCode13) {
  store(20);
  store(20, {}, "a.db", results::RunStatus::kInterrupted);
  EXPECT_EQ(gate(), kExitGateIncomplete) << out_ << err_;
  EXPECT_THAT(out_, HasSubstr("the candidate (run 2) is interrupted"));
}

TEST_F(GateCommand, UsageAndDatabaseErrorsKeepTheirCodes) {
  store(20);
  EXPECT_EQ(command({"gate", "--base", "1", "--db", db()}), kExitUsage);
  EXPECT_EQ(gate(), kExitBadInput);  // there is no run 2
  EXPECT_THAT(err_, HasSubstr("no run \"2\""));
  EXPECT_EQ(command({"gate", "--base", "1", "--cand", "1", "--db", db("none.db")}), kExitBadInput);
  write_file_atomically(folder_ / "policy.json", R"({"margn": 0.5})");
  EXPECT_EQ(gate({"--policy", folder_ / "policy.json"}), kExitBadInput);
  EXPECT_THAT(err_, HasSubstr("unknown key \"margn\""));
  EXPECT_EQ(command({"compare", "1", "1", "--db", db(), "--flips", "many"}), kExitUsage);
}

TEST_F(GateCommand, TheVerdictIsStoredWithItsPolicyByHash) {
  store(20);
  store(20, nudge());
  const std::string policy = R"({"margin": 0.5, "family_margin": 0.5})";
  write_file_atomically(folder_ / "policy.json", policy);
  EXPECT_EQ(gate({"--policy", folder_ / "policy.json", "--json", folder_ / "gate.json"}), kExitDone)
      << out_ << err_;
  {
    const results::Database database = results::open_for_reading(db());
    results::Statement row = database.prepare(
        "SELECT base_run_id, cand_run_id, verdict, report, policy_sha256, content FROM verdict JOIN policy"
        " USING(policy_sha256)");
    row.query();
    ASSERT_TRUE(row.step());
    EXPECT_EQ(row.integer(0), 1);
    EXPECT_EQ(row.integer(1), 2);
    EXPECT_EQ(row.text(2), "pass");
    EXPECT_EQ(json::parse(row.text(3)), json::parse(read_file(folder_ / "gate.json")));
    EXPECT_EQ(row.digest(4), results::policy_sha256(results::parse_policy(policy, "p")));
    EXPECT_EQ(results::policy_sha256(results::parse_policy(row.text(5), "stored")), row.digest(4));
  }
  EXPECT_EQ(gate({"--no-store"}), kExitGateInconclusive);
  EXPECT_EQ(n_verdicts(), 1);
  const results::WriterLock another_writer(db());
  EXPECT_EQ(gate(), kExitGateInconclusive);
  EXPECT_THAT(err_, HasSubstr("is being written by another process, so the verdict is not stored"));
  EXPECT_EQ(n_verdicts(), 1);
}

TEST_F(GateCommand, JsonHasTheDocumentedKeys) {
  store(1000);
  store(1000, wrong(0, 400));
  EXPECT_EQ(gate({"--json", "-"}), kExitGateRegressed);
  const json report = json::parse(out_);
  std::vector<std::string> keys;
  for (const auto& [key, value] : report.items()) keys.push_back(key);
  EXPECT_THAT(keys, ElementsAre("base", "candidate", "conditions", "exit_code", "families", "policy",
                                "policy_sha256", "primary", "reason", "speed", "verdict", "warnings"));
  EXPECT_EQ(report["exit_code"], 10);
  EXPECT_EQ(report["primary"][0]["scope"], "group:exam");
  EXPECT_EQ(report["primary"][0]["worse"], 100);
  EXPECT_NEAR(report["primary"][0]["change"], -100.0 / 2002, 1e-12);
  EXPECT_EQ(report["families"][0]["members"][0]["task"], "anatomy");
  EXPECT_EQ(report["conditions"].size(), 6u);
}

TEST_F(GateCommand, JunitHasOneCaseAConditionNumberAndFamily) {
  store(1000);
  store(1000, wrong(0, 400));
  EXPECT_EQ(gate({"--junit", folder_ / "gate.xml"}), kExitGateRegressed);
  const std::string xml = read_file(folder_ / "gate.xml");
  EXPECT_THAT(xml, HasSubstr("<testsuite name=\"fathom gate\" tests=\"8\" failures=\"2\" errors=\"0\">"));
  EXPECT_THAT(xml, HasSubstr("<testcase classname=\"primary\" name=\"group:exam acc\">"));
  EXPECT_THAT(xml, HasSubstr("<failure type=\"regressed\""));
  EXPECT_THAT(xml, HasSubstr("<testcase classname=\"condition\" name=\"same tasks\"/>"));
  store(1000, {}, "a.db", results::RunStatus::kInterrupted);
  EXPECT_EQ(command({"gate", "--base", "1", "--cand", "3", "--db", db(), "--junit", folder_ / "gate.xml"}),
            kExitGateIncomplete);
  EXPECT_THAT(read_file(folder_ / "gate.xml"), HasSubstr("<error type=\"incomplete\""));
}

TEST_F(GateCommand, ABaselineIsABase) {
  store(1000);
  store(1000, wrong(0, 400));
  EXPECT_EQ(command({"baseline", "set", "nightly", "1", "--db", db()}), kExitDone) << err_;
  EXPECT_EQ(out_, "baseline nightly is run 1\n");
  EXPECT_EQ(command({"gate", "--base", "nightly", "--cand", "latest", "--db", db()}), kExitGateRegressed);
  EXPECT_EQ(command({"compare", "nightly", "nightly", "--db", db()}), kExitDone);
  EXPECT_EQ(command({"baseline", "list", "--db", db()}), kExitDone);
  EXPECT_THAT(out_, HasSubstr("nightly   "));
  EXPECT_THAT(out_, HasSubstr("run 1 example: tiny"));
  EXPECT_EQ(command({"baseline", "set", "7", "1", "--db", db()}), kExitUsage);
  EXPECT_EQ(command({"baseline", "set", "x", "9", "--db", db()}), kExitBadInput);
  EXPECT_EQ(command({"baseline", "set", "x", "1", "--db", db("none.db")}), kExitBadInput);
  EXPECT_FALSE(std::filesystem::exists(db("none.db")));
  EXPECT_EQ(command({"baseline", "remove", "nightly", "--db", db()}), kExitDone);
  EXPECT_EQ(command({"gate", "--base", "nightly", "--cand", "2", "--db", db()}), kExitBadInput);
}

TEST_F(GateCommand, RunsOfTwoDatabasesAreJudgedAndNotStored) {
  store(1000);
  store(1000, wrong(0, 400), "b.db");
  EXPECT_EQ(command({"gate", "--base", "1", "--cand", "1", "--db", db(), "--cand-db", db("b.db")}),
            kExitGateRegressed);
  EXPECT_THAT(err_, HasSubstr("the runs are in two databases, so the verdict is not stored"));
  EXPECT_EQ(n_verdicts(), 0);
}

TEST_F(GateCommand, CompareShowsChangesTestsFlipsSpeedAndWhatDiffers) {
  store(1000);
  store(1000, wrong(0, 40), "a.db", results::RunStatus::kComplete,
        [](results::RunRecord& run) { run.numerics_json = R"({"dtype":"fp32","kernels":"scalar"})"; });
  EXPECT_EQ(command({"compare", "1", "2", "--db", db(), "--flips", "3"}), kExitDone) << err_;
  EXPECT_THAT(out_,
              HasSubstr("paired: 2002 documents with identical prompts in 2 tasks; nothing is unpaired"));
  EXPECT_THAT(out_,
              HasSubstr("flips: 10 documents with a lower score, 0 with a higher; the largest 3 of each"));
  EXPECT_THAT(out_, HasSubstr("\"A\" -> \"D\""));
  EXPECT_THAT(out_, HasSubstr("gold_logprob"));
  EXPECT_THAT(out_, HasSubstr("MDE"));
  EXPECT_THAT(out_, HasSubstr("bootstrap interval"));
  EXPECT_THAT(out_, HasSubstr("tokens/s"));
  EXPECT_THAT(out_, HasSubstr("numerics.dtype"));
  EXPECT_THAT(out_, Not(HasSubstr("numerics contract")));  // other numerics may answer otherwise
  // Lines of the tables end where their last column does.
  EXPECT_THAT(out_, Not(HasSubstr(" \n")));
}

TEST_F(GateCommand, CompareJsonHasTheDocumentedKeys) {
  store(100);
  store(100, wrong(0, 40));
  EXPECT_EQ(command({"compare", "1", "2", "--db", db(), "--flips", "all", "--json", "-"}), kExitDone);
  const json report = json::parse(out_);
  std::vector<std::string> keys;
  for (const auto& [key, value] : report.items()) keys.push_back(key);
  EXPECT_THAT(
      keys, ElementsAre("base", "candidate", "changes", "differences", "pairing", "same_questions", "scopes",
                        "speed", "tasks_only_in_base", "tasks_only_in_candidate", "unexpected_changes"));
  EXPECT_EQ(report["changes"]["n_worse"], 10);
  EXPECT_EQ(report["changes"]["worse"].size(), 10u);
  EXPECT_EQ(report["changes"]["worse"][0]["candidate_answer"], "D");
  EXPECT_EQ(report["unexpected_changes"], 40);
  EXPECT_EQ(report["pairing"][0]["paired"], 100);
  EXPECT_EQ(report["pairing"][0]["prompt_differs"]["n"], 0);
  std::vector<std::string> scope_keys;
  for (const auto& [key, value] : report["scopes"][0].items()) scope_keys.push_back(key);
  EXPECT_THAT(scope_keys, ElementsAre("base", "better", "bootstrap", "candidate", "change", "ci", "ci_level",
                                      "ci_method", "filter", "headline", "mde80", "metric", "mid_p", "n",
                                      "n_identical", "p", "q", "scope", "se", "se_method", "test", "worse"));
}

TEST_F(GateCommand, HostileAnswersCannotDriveTheTerminal) {
  store(8);
  store(8, [](results::SampleRecord& sample) {
    if (sample.task != 0 || sample.doc != 0) return;
    sample.scores[0] = {.scoring = 0, .value = 0.0, .answer = "\x1b[2J\nhello\xff"};
  });
  EXPECT_EQ(command({"compare", "1", "2", "--db", db(), "--json", folder_ / "c.json"}), kExitDone) << err_;
  EXPECT_THAT(out_, Not(HasSubstr("\x1b")));
  EXPECT_THAT(out_, HasSubstr("\\u001b[2J\\nhello"));
  EXPECT_TRUE(json::accept(read_file(folder_ / "c.json")));
}

}  // namespace
}  // namespace fathom::harness
