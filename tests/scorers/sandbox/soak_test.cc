// 1,000 samples in a row, good and bad ones, leave nothing behind: counted in /proc before and after.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "scorers/sandbox/sandbox.h"
#include "tests/scorers/sandbox/as_user.h"
#include "tests/scorers/sandbox/attack_run.h"
#include "tests/scorers/sandbox/host_guard.h"

namespace fathom::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr int kSamples = 1000;
constexpr int kWarmUp = 40;
#ifdef __SANITIZE_ADDRESS__
constexpr int64_t kMostGrowthKib = 256 << 10;  // it keeps that much freed memory in quarantine
#else
constexpr int64_t kMostGrowthKib = 4096;  // 1 MiB a process
#endif

const std::vector<std::string>& bodies() {
  static const std::vector<std::string> kBodies = {
      "    return x + 1\n",
      "    open('left', 'w').write('x' * 10000)\n    return x + 1\n",
      "    import os\n    os.makedirs('a/b/c')\n    os.chmod('a/b', 0)\n    return x + 1\n",
      "    import threading, time\n    threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n "
      "   return 3\n",
      "    import os\n    kept = [os.open('/dev/null', 0) for _ in range(40)]\n    os._exit(3)\n",
      "    import os\n    os.fork()\n",
      "    raise ValueError('no')\n",
      "    return [0] * 10**10\n",
      "    import os\n    os.kill(os.getpid(), 9)\n",
      "    print('x' * 100000)\n    return x + 1\n",
  };
  return kBodies;
}

void run_samples(Sandbox& sandbox, int count) {
  for (int i = 0; i < count; ++i) {
    Job job;
    job.id = std::to_string(i);
    job.prompt = "def f(x):\n";
    job.completion = bodies()[static_cast<size_t>(i) % bodies().size()];
    job.test = "def check(candidate):\n    assert candidate(1) == 2\n";
    job.entry_point = "f";
    sandbox.submit(job);
  }
  for (int i = 0; i < count; ++i) {
    const auto result = sandbox.next();
    if (!result || result->verdict == Verdict::kSandboxError) {
      ADD_FAILURE() << (result ? result->detail : "no result");
      return;
    }
  }
}

size_t n_entries(const fs::path& folder) {
  std::error_code error;
  size_t count = 0;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) ++count;
  return count;
}

size_t n_lines(const fs::path& path) {
  std::ifstream file(path);
  size_t count = 0;
  for (std::string line; std::getline(file, line);) ++count;
  return count;
}

int64_t resident_kib(const fs::path& process) {
  std::ifstream file(process / "status");
  for (std::string word; file >> word;) {
    int64_t kib = 0;
    if (word == "VmRSS:" && file >> kib) return kib;
  }
  return 0;
}

struct Count {
  std::map<std::string, size_t> things;
  int64_t resident_kib = 0;
  size_t n_waiting_judges = 0;  // which may stay for the next sample: one of each cell at most
};

// Of this process, the supervisor and its zygotes.
Count count_everything(const Sandbox& sandbox) {
  Count count;
  std::vector<pid_t> pids = children_of(sandbox.supervisor());
  std::map<pid_t, size_t> n_judges;
  for (const pid_t zygote : pids) {
    for (const pid_t judge : children_of(zygote)) {
      ++n_judges[zygote];
      count.n_waiting_judges += 1 + children_of(judge).size();
    }
  }
  pids.push_back(sandbox.supervisor());
  count.things["processes"] = pids.size();
  count.things["own descriptors"] = n_entries("/proc/self/fd");
  count.things["own mounts"] = n_lines("/proc/self/mountinfo");
  count.things["names in the temporary folder"] = n_entries(fs::temp_directory_path());
  for (const pid_t pid : pids) {
    const fs::path process = "/proc/" + std::to_string(pid);
    // An ordinary user may not look into a zygote, which is not dumpable; root may.
    // A zygote has a pidfd of the judge that it waits for.
    const size_t n_open = n_entries(process / "fd");
    count.things["descriptors of " + std::to_string(pid)] = n_open - std::min(n_open, n_judges[pid]);
    count.things["mounts of " + std::to_string(pid)] = n_lines(process / "mountinfo");
    count.things["threads of " + std::to_string(pid)] = n_entries(process / "task");
    count.resident_kib += resident_kib(process);
  }
  // The supervisor has a pidfd and a socket of each.
  count.things["descriptors of " + std::to_string(sandbox.supervisor())] -= 2 * count.n_waiting_judges;
  return count;
}

TEST(Soak, AThousandSamplesLeaveNothingBehind) {
  if (const std::string why = refusal(Level::kAuto); !why.empty()) GTEST_SKIP() << why;
  const HostGuard guard;
  {
    SandboxOptions options;
    options.n_workers = 2;
    const auto sandbox = Sandbox::start(options);
    run_samples(*sandbox, kWarmUp);
    const Count before = count_everything(*sandbox);
    run_samples(*sandbox, kSamples);
    const Count after = count_everything(*sandbox);
    EXPECT_LE(after.n_waiting_judges, static_cast<size_t>(options.n_workers));
    EXPECT_EQ(after.things, before.things);
    EXPECT_LT(after.resident_kib, before.resident_kib + kMostGrowthKib);
  }
  for (const std::string& line : guard.damage()) ADD_FAILURE() << line;
}

TEST(Soak, NothingOutlivesAHarnessThatIsKilled) {
  if (const std::string why = refusal(Level::kAuto); !why.empty()) GTEST_SKIP() << why;
  const HostGuard guard;
  const auto lines = in_new_process([]() -> std::vector<std::string> {
    SandboxOptions options;
    options.n_workers = 2;
    const auto sandbox = Sandbox::start(options);
    for (int i = 0; i < 4; ++i) {
      Job job;
      job.kind = JobKind::kProgram;
      job.completion = "while True: pass\n";
      sandbox->submit(job);
    }
    kill(getpid(), SIGKILL);
    return {};
  });
  ASSERT_EQ(lines.size(), 1u) << "the process was to die";
  for (const std::string& line : guard.damage()) ADD_FAILURE() << line;
}

}  // namespace
}  // namespace fathom::sandbox
