// The level, the layers and the policy's hash that `fathom run` stores with every verdict of a code task are
// those under which the program ran: `fathom exec` reports the same ones for the same options, and the hash
// is that of the policy in the record.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "results/schema.h"
#include "results/sqlite.h"
#include "tests/e2e/child_process.h"
#include "tests/e2e/small_run.h"
#include "tests/temporary_folder.h"

namespace fathom::testing {
namespace {

struct Row {
  std::string verdict;
  std::string sha256;
  std::string level;
  nlohmann::json record;
};

class StoredPolicies : public ::testing::Test {
 protected:
  StoredPolicies() {
    write_small_run(folder_.path(), 1);
    write_code_problem(folder_.path());
  }

  std::optional<int> run(const std::vector<std::string>& args) {
    ChildProcess child(args, folder_.path(), folder_ / "out", folder_ / "err");
    return child.wait().exit_code;
  }

  std::vector<Row> stored() const {
    const results::Database database = results::open_for_reading(folder_ / "results.db");
    results::Statement rows = database.prepare(
        "SELECT verdict, policy_sha256, level, layers FROM sandbox_verdict JOIN sandbox_policy "
        "USING(policy_sha256) ORDER BY sample_id, execution");
    std::vector<Row> found;
    for (rows.query(); rows.step();) {
      found.push_back(
          {rows.text(0), to_hex(rows.digest(1)), rows.text(2), nlohmann::json::parse(rows.text(3))});
    }
    return found;
  }

  // What `fathom exec` says of a program that ran with `options`.
  nlohmann::json exec_policy(const std::vector<std::string>& options) {
    write_file_atomically(folder_ / "in.jsonl", R"({"id":1,"program":"pass"})"
                                                "\n");
    std::vector<std::string> args = {"exec", "--input", (folder_ / "in.jsonl").string(), "--output",
                                     (folder_ / "out.jsonl").string()};
    args.insert(args.end(), options.begin(), options.end());
    EXPECT_EQ(run(args), kExitDone) << read_file(folder_ / "err");
    return nlohmann::json::parse(read_file(folder_ / "out.jsonl")).at("policy");
  }

  TemporaryFolder folder_;
};

class StoredPolicy : public StoredPolicies, public ::testing::WithParamInterface<std::vector<std::string>> {};

TEST_P(StoredPolicy, IsThatOfTheSandboxTheProgramRanIn) {
  const std::vector<std::string>& options = GetParam();
  const std::optional<int> exit_code = run(code_run_args(folder_.path(), "results.db", options));
  if (exit_code == kExitEnvironment) GTEST_SKIP() << read_file(folder_ / "err");
  ASSERT_EQ(exit_code, kExitDone) << read_file(folder_ / "err");
  const std::vector<Row> policies = stored();
  ASSERT_EQ(policies.size(), 1u);
  const Row& policy = policies.front();
  EXPECT_NE(policy.verdict, "sandbox_error");
  const nlohmann::json expected = exec_policy(options);
  EXPECT_EQ(policy.sha256, expected.at("hash"));
  EXPECT_EQ(policy.level, expected.at("level"));
  EXPECT_EQ(policy.record.at("level"), expected.at("level"));
  EXPECT_EQ(policy.record.at("layers"), expected.at("layers"));
  EXPECT_EQ(policy.record.at("policy_hash"), policy.sha256);
  EXPECT_EQ(to_hex(sha256(policy.record.at("policy").dump())), policy.sha256);
  const nlohmann::json& layers = policy.record.at("layers");
  const auto has = [&](const char* layer) {
    return std::find(layers.begin(), layers.end(), layer) != layers.end();
  };
  EXPECT_TRUE(has("resource limits"));
  EXPECT_EQ(has("seccomp"), policy.level != "none");
  EXPECT_EQ(has("network namespace"), policy.level == "full" || policy.level == "bwrap");
}

INSTANTIATE_TEST_SUITE_P(
    Options, StoredPolicy,
    ::testing::Values(std::vector<std::string>{}, std::vector<std::string>{"--sandbox", "full"},
                      std::vector<std::string>{"--sandbox", "bwrap"},
                      std::vector<std::string>{"--sandbox", "landlock"},
                      std::vector<std::string>{"--sandbox", "full", "--timing", "reference"},
                      std::vector<std::string>{"--sandbox", "none", "--i-know-this-is-unsafe"}));

TEST_F(StoredPolicies, DifferWhenTheSandboxesDo) {
  // --fresh: the level is no part of a run's plan, and a complete run of the plan would be shown instead.
  const std::vector<std::vector<std::string>> runs = {
      {"--fresh", "--sandbox", "landlock"},
      {"--fresh", "--sandbox", "none", "--i-know-this-is-unsafe"},
      {"--fresh", "--sandbox", "none", "--i-know-this-is-unsafe", "--timing", "reference"}};
  for (const auto& options : runs) {
    const std::optional<int> exit_code = run(code_run_args(folder_.path(), "results.db", options));
    if (exit_code == kExitEnvironment) GTEST_SKIP() << read_file(folder_ / "err");
    ASSERT_EQ(exit_code, kExitDone) << read_file(folder_ / "err");
  }
  std::set<std::string> hashes;
  for (const Row& policy : stored()) hashes.insert(policy.sha256);
  EXPECT_EQ(hashes.size(), runs.size());
}

}  // namespace
}  // namespace fathom::testing
