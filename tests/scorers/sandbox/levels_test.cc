// The weaker levels run programs and hold what docs/sandbox.md promises of them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "scorers/sandbox/bubblewrap.h"
#include "scorers/sandbox/sandbox.h"
#include "tests/expect_error.h"
#include "tests/scorers/sandbox/as_user.h"
#include "tests/scorers/sandbox/attack_run.h"

namespace fathom::sandbox {
namespace {

// Where a program tries to get to something outside; forgeries and bombs are the same at every level and
// slow.
const std::set<std::string> kConfinement = {"escape", "network", "signals", "system_calls", "leftovers"};

void expect_confined(Level level) {
  const auto work = [level]() -> std::vector<std::string> {
    if (const std::string why = refusal(level); !why.empty()) return {"skip", why};
    return run_attacks(level, kConfinement);
  };
  std::vector<std::string> wrong = work();
  if (geteuid() == 0) {
    for (std::string& line : as_ordinary_user(work)) wrong.push_back("as an ordinary user: " + line);
  }
  if (wrong.size() >= 2 && wrong[0] == "skip") GTEST_SKIP() << wrong[1];
  for (const std::string& line : wrong) ADD_FAILURE() << line;
}

TEST(Levels, BubblewrapConfines) {
  if (find_bubblewrap().empty()) GTEST_SKIP() << "needs bubblewrap, which is not installed";
  expect_confined(Level::kBwrap);
}

TEST(Levels, LandlockConfines) {
  expect_confined(Level::kLandlock);
}

TEST(Levels, LandlockRefusesMoreThanOneProcess) {
  Limits limits;
  limits.processes = 2;
  testing::expect_bad_input([&] { check_processes(limits, Level::kLandlock, "line 1"); },
                            {"line 1", "processes", "1"});
  EXPECT_NO_THROW(check_processes(limits, Level::kFull, "line 1"));
  if (!refusal(Level::kLandlock).empty()) GTEST_SKIP() << refusal(Level::kLandlock);
  SandboxOptions options;
  options.level = Level::kLandlock;
  const auto sandbox = Sandbox::start(options);
  Job job;
  job.limits = limits;
  testing::expect_bad_input([&] { sandbox->submit(job); }, {"landlock"});
}

TEST(Levels, NoneRunsProgramsAndSaysSo) {
  SandboxOptions options;
  options.level = Level::kNone;
  options.accept_no_sandbox = true;
  options.n_workers = 1;
  const auto sandbox = Sandbox::start(options);
  EXPECT_EQ(sandbox->level(), "none");
  Job job;
  job.kind = JobKind::kProgram;
  job.completion = "print(1)\n";
  sandbox->submit(job);
  sandbox->close();
  const auto result = sandbox->next();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->verdict, Verdict::kPass) << result->detail;
  EXPECT_EQ(result->standard_output, "1\n");
}

TEST(Levels, EachHasAPolicyOfItsOwn) {
  std::set<std::string> hashes;
  int n_levels = 0;
  for (const Level level : {Level::kFull, Level::kBwrap, Level::kLandlock}) {
    if (!refusal(level).empty()) continue;
    SandboxOptions options;
    options.level = level;
    options.n_workers = 1;
    hashes.insert(Sandbox::start(options)->run_record().at("policy_hash"));
    ++n_levels;
  }
  if (n_levels == 0) GTEST_SKIP() << "this machine has no level of the sandbox";
  EXPECT_EQ(hashes.size(), static_cast<size_t>(n_levels));
}

}  // namespace
}  // namespace fathom::sandbox
