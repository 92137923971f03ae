// A busy machine changes no verdict: the canonical solutions while every processor has other work.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

#include "base/error.h"
#include "scorers/sandbox/broker.h"
#include "tests/scorers/sandbox/canonical.h"
#include "tests/shared_data.h"

namespace fathom::sandbox {
namespace {

constexpr int kRounds = 5;
constexpr int kBusyProcessesPerProcessor = 3;

class BusyMachine {
 public:
  BusyMachine() {
    const int count = kBusyProcessesPerProcessor * static_cast<int>(std::thread::hardware_concurrency());
    for (int i = 0; i < count; ++i) {
      const pid_t pid = fork();
      if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (std::atomic<unsigned> n = 0;; ++n) {
        }
      }
      pids_.push_back(pid);
    }
  }
  ~BusyMachine() {
    for (const pid_t pid : pids_) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
  }

 private:
  std::vector<pid_t> pids_;
};

TEST(Load, NoCanonicalSolutionFailsOnABusyMachine) {
  FATHOM_REQUIRE_SHARED_DATA("humaneval/HumanEval.jsonl.gz");
  const auto jobs = humaneval_jobs([](const std::string& canonical) { return canonical; });
  const BusyMachine busy;
  int n_second_runs = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (const auto& [id, result] : run_jobs(SandboxOptions(), jobs)) {
      EXPECT_EQ(result.verdict, Verdict::kPass) << id << " in round " << round << ": " << result.detail;
      n_second_runs += static_cast<int>(result.attempts.size()) - 1;
    }
  }
  std::printf("%d samples, %d second runs\n", kRounds * 164, n_second_runs);
}

}  // namespace
}  // namespace fathom::sandbox

// The sandbox starts its supervisor by executing this program anew.
int main(int argc, char** argv) {
  fathom::sandbox::run_broker_if_asked(argc, argv);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
