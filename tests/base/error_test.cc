#include "base/error.h"

#include <gtest/gtest.h>

namespace fathom {
namespace {

TEST(Error, EachKindHasItsDocumentedExitCode) {
  EXPECT_EQ(Error(ErrorKind::kUsage, "m").exit_code(), 2);
  EXPECT_EQ(Error(ErrorKind::kBadInput, "m").exit_code(), 3);
  EXPECT_EQ(Error(ErrorKind::kEngine, "m").exit_code(), 4);
  EXPECT_EQ(Error(ErrorKind::kEnvironment, "m").exit_code(), 5);
}

TEST(Error, TheTextBeginsWithThePlace) {
  EXPECT_STREQ(Error(ErrorKind::kBadInput, "message", "file:3").what(), "file:3: message");
  EXPECT_STREQ(Error(ErrorKind::kBadInput, "message").what(), "message");
}

TEST(ErrorDeathTest, AFailedCheckAbortsWithTheValues) {
  EXPECT_DEATH(FATHOM_CHECK(1 == 2, "left {} right {}", 1, 2), "1 == 2 left 1 right 2");
}

}  // namespace
}  // namespace fathom
