// The trace that the lists of system calls are made from.
#include "scorers/sandbox/call_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace fathom::sandbox {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(CallTrace, NamesWhatTheFilterRefuses) {
  const auto names = refused_calls(find_interpreter(""),
                                   "import socket, os\n"
                                   "try: socket.socket(socket.AF_INET, socket.SOCK_STREAM).bind(('', 0))\n"
                                   "except OSError: pass\n"
                                   "os.stat('/')\n");
  EXPECT_THAT(names, Contains("socket"));
  EXPECT_THAT(names, Contains("bind"));
  EXPECT_THAT(names, Not(Contains("newfstatat")));
}

TEST(CallTrace, CommonImportsNeedNothingThatIsRefused) {
  EXPECT_THAT(refused_calls(find_interpreter(""), typical_imports()), IsEmpty());
}

TEST(CallTrace, AProgramThatFailsIsNoTrace) {
  EXPECT_THROW(refused_calls(find_interpreter(""), "raise SystemExit(3)"), Error);
  EXPECT_THROW(refused_calls(find_interpreter(""), "import os; os.abort()"), Error);
}

}  // namespace
}  // namespace fathom::sandbox
