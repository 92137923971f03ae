// Control groups: where they are looked for, what is written to them, and on a machine that offers them that
// the kernel keeps the limits.
#include "scorers/sandbox/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "scorers/sandbox/sandbox.h"
#include "scorers/sandbox/setup.h"
#include "tests/scorers/sandbox/attack_run.h"
#include "tests/temporary_folder.h"

namespace fathom::sandbox {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

constexpr const char* kSecondVersion =
    "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kFirstVersion =
    "41 40 0:31 / /cg/memory rw - cgroup cgroup rw,memory\n"
    "42 40 0:32 / /cg/pids rw shared:3 - cgroup cgroup rw,pids\n"
    "43 40 0:33 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";

TEST(CgroupCandidates, OfVersionTwoAreOurGroupAndTheOneAbove) {
  const auto found = cgroup_candidates(kSecondVersion, "0::/user.slice/app.slice/run-7.scope\n");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].version, 2);
  EXPECT_THAT(found[0].folders, ElementsAre("/sys/fs/cgroup/user.slice/app.slice/run-7.scope"));
  EXPECT_THAT(found[1].folders, ElementsAre("/sys/fs/cgroup/user.slice/app.slice"));
}

TEST(CgroupCandidates, OfVersionOneNeedBothControllers) {
  const auto found = cgroup_candidates(kFirstVersion, "4:memory:/a/b\n8:pids:/\n1:cpu,cpuacct:/c\n");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].version, 1);
  EXPECT_THAT(found[0].folders, ElementsAre("/cg/memory/a/b", "/cg/pids"));
  EXPECT_TRUE(cgroup_candidates(kFirstVersion, "4:memory:/a/b\n1:cpu,cpuacct:/c\n").empty());
}

TEST(CgroupCandidates, AreRelativeToWhatTheMountShows) {
  const std::string mounts = "35 24 0:30 /box /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
  const auto found = cgroup_candidates(mounts, "0::/box/inner\n");
  ASSERT_FALSE(found.empty());
  EXPECT_THAT(found[0].folders, ElementsAre("/sys/fs/cgroup/inner"));
  EXPECT_TRUE(cgroup_candidates(mounts, "0::/elsewhere\n").empty());
  EXPECT_TRUE(cgroup_candidates("", "0::/\n").empty());
}

std::string content(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(Cgroup, WritesTheFilesOfItsVersion) {
  const testing::TemporaryFolder folder;
  for (const char* name : {"two", "memory", "pids"}) fs::create_directory(folder / name);
  const std::string group = "fathom-sandbox-" + std::to_string(getpid()) + "-0-runner";
  Cgroup second({.version = 2, .folders = {folder / "two"}}, "0-runner");
  second.set_limits({.memory_bytes = 12345, .processes = 6});
  second.add(77);
  EXPECT_EQ(content(folder / "two" / group / "memory.max"), "12345");
  EXPECT_EQ(content(folder / "two" / group / "pids.max"), "6");
  EXPECT_EQ(content(folder / "two" / group / "cgroup.procs"), "77");
  std::ofstream(folder / "two" / group / "memory.events")
      << "low 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n";
  EXPECT_EQ(second.n_memory_kills(), 2);
  std::ofstream(folder / "two" / group / "cgroup.procs");  // nobody, so that removing it kills nobody
  Cgroup first({.version = 1, .folders = {folder / "memory", folder / "pids"}}, "0-runner");
  first.set_limits({.memory_bytes = 54321, .processes = 7});
  EXPECT_EQ(content(folder / "memory" / group / "memory.limit_in_bytes"), "54321");
  EXPECT_EQ(content(folder / "pids" / group / "pids.max"), "7");
  std::ofstream(folder / "memory" / group / "memory.oom_control")
      << "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n";
  EXPECT_EQ(first.n_memory_kills(), 5);
}

TEST(Cgroup, SaysWhichFileTheKernelRefused) {
  const testing::TemporaryFolder folder;
  try {
    Cgroup({.version = 2, .folders = {folder / "absent"}}, "0-judge");
    FAIL() << "a group was made in a folder that does not exist";
  } catch (const SetupFailure& failure) {
    EXPECT_EQ(failure.layer, "cgroup limits");
    EXPECT_NE(failure.what.find("absent"), std::string::npos) << failure.what;
    EXPECT_EQ(failure.error, ENOENT);
  }
}

std::vector<std::string> groups_of(pid_t supervisor, const CgroupParent& parent) {
  const std::string prefix = "fathom-sandbox-" + std::to_string(supervisor) + "-";
  std::vector<std::string> found;
  for (const fs::path& folder : parent.folders) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename();
      if (name.starts_with(prefix)) found.push_back(entry.path());
    }
  }
  return found;
}

class RealCgroup : public ::testing::Test {
 protected:
  void SetUp() override {
    offer_ = find_cgroups();
    if (!offer_.available()) GTEST_SKIP() << "skipped: no control groups here: " << offer_.absence;
    if (const std::string why = refusal(Level::kAuto); !why.empty()) GTEST_SKIP() << why;
  }
  CgroupOffer offer_;
};

// Each of the processes stays below its own limit; together they are far above it.
TEST_F(RealCgroup, BoundsTheMemoryOfAllProcessesOfAProgramTogether) {
  Job job;
  job.id = "together";
  job.kind = JobKind::kProgram;
  job.completion =
      "import os\n"
      "pids = []\n"
      "for _ in range(6):\n"
      "    pid = os.fork()\n"
      "    if pid == 0:\n"
      "        taken = bytearray(b'x') * (150 << 20)\n"
      "        import time\n"
      "        time.sleep(1)\n"
      "        os._exit(0)\n"
      "    pids.append(pid)\n"
      "for pid in pids:\n"
      "    if os.waitpid(pid, 0)[1] != 0:\n"
      "        raise RuntimeError('a process was killed')\n";
  job.limits = Limits{.memory_mb = 256, .processes = 8};
  Job after;
  after.id = "after";
  after.kind = JobKind::kProgram;
  after.completion = "assert sum(range(5)) == 10\n";
  std::map<std::string, Result> results;
  pid_t supervisor = 0;
  {
    SandboxOptions options;
    options.n_workers = 1;
    const auto sandbox = Sandbox::start(options);
    supervisor = sandbox->supervisor();
    EXPECT_FALSE(groups_of(supervisor, offer_.parent).empty());
    sandbox->submit(job);
    sandbox->submit(after);
    sandbox->close();
    while (auto result = sandbox->next()) results.emplace(result->id, *result);
  }
  const Result& together = results.at("together");
  EXPECT_EQ(verdict_name(together.verdict), "oom") << together.detail;
  EXPECT_NE(together.detail.find("for all processes together"), std::string::npos) << together.detail;
  EXPECT_EQ(results.at("after").verdict, Verdict::kPass) << results.at("after").detail;
  EXPECT_THAT(groups_of(supervisor, offer_.parent), ElementsAre());
}

TEST_F(RealCgroup, OfASupervisorThatWasKilledIsRemovedByTheNext) {
  const pid_t dead = fork();
  if (dead == 0) _exit(0);
  waitpid(dead, nullptr, 0);
  for (const fs::path& folder : offer_.parent.folders) {
    fs::create_directory(folder / ("fathom-sandbox-" + std::to_string(dead) + "-0-runner"));
  }
  EXPECT_TRUE(find_cgroups().available());
  EXPECT_THAT(groups_of(dead, offer_.parent), ElementsAre());
}

}  // namespace
}  // namespace fathom::sandbox
