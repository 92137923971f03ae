#include "base/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fathom {
namespace {

TEST(FormatDuration, GrowsFromSecondsToHours) {
  EXPECT_EQ(format_duration(0.04), "0.0 s");
  EXPECT_EQ(format_duration(7.34), "7.3 s");
  EXPECT_EQ(format_duration(42.4), "42 s");
  EXPECT_EQ(format_duration(200), "3 min 20 s");
  EXPECT_EQ(format_duration(7500), "2 h 05 min");
}

TEST(Progress, TheLastItemIsAlwaysReportedAndNothingReachesStandardOutput) {
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  {
    Progress progress("mmlu", "questions", 3);
    for (int64_t done = 1; done <= 3; ++done) progress.update(done, "note");
    progress.update(3, "note");
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::MatchesRegex("mmlu: 3/3 questions, .*/s, .* s, note\n"));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

}  // namespace
}  // namespace fathom
