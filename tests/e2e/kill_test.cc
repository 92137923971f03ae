// The bounded kill test; tools/kill_run.sh runs the long one.
#include <gtest/gtest.h>

#include "tests/e2e/kill_experiment.h"
#include "tests/temporary_folder.h"

namespace fathom::testing {
namespace {

TEST(Kill, LosesNoAcknowledgedSampleAndEndsWithTheNumbersOfTheUndisturbedRun) {
  const TemporaryFolder folder;
  const KillOptions options{.n_questions = 1500, .n_kills = 12, .seed = 7};
  const KillCounts counts = kill_experiment(folder.path(), options);
  EXPECT_EQ(counts.problem, "");
  EXPECT_GT(counts.n_kills_with_samples, 0) << "no attempt got far enough for the test to mean anything";
  EXPECT_EQ(counts.n_lost, 0);
  EXPECT_EQ(counts.n_twice, 0);
  EXPECT_EQ(counts.n_stored, options.n_questions);
  EXPECT_TRUE(counts.numbers_equal);
  EXPECT_TRUE(counts.sound);
}

}  // namespace
}  // namespace fathom::testing
