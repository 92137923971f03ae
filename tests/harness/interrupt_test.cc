#include "harness/interrupt.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace fathom::harness {
namespace {

TEST(Interrupt, TheFirstSignalSetsTheFlagAndTheExitCode) {
  InterruptGuard guard;
  EXPECT_EQ(guard.signal(), 0);
  ::raise(SIGTERM);
  EXPECT_EQ(guard.signal(), SIGTERM);
  EXPECT_EQ(guard.exit_code(), 143);
}

TEST(InterruptDeathTest, TheSecondSignalEndsTheProcessAtOnce) {
  EXPECT_EXIT(
      {
        InterruptGuard guard;
        ::raise(SIGINT);
        ::raise(SIGINT);
        ::_exit(1);
      },
      ::testing::ExitedWithCode(130), "once more to stop at once");
}

TEST(InterruptDeathTest, SignalsAreTheProcesssOwnAgainAfterwards) {
  EXPECT_EXIT(
      {
        {
          InterruptGuard guard;
        }
        ::raise(SIGINT);
      },
      ::testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace fathom::harness
