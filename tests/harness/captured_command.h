// A command line run inside the test, with what it printed.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "harness/cli.h"

namespace fathom::harness {

struct CapturedCommand {
  int exit_code = 0;
  std::string out;
  std::string err;
};

inline CapturedCommand capture_command(const std::vector<std::string>& args) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  CapturedCommand command;
  command.exit_code = run_command_line(args);
  std::fflush(stdout);
  command.out = ::testing::internal::GetCapturedStdout();
  command.err = ::testing::internal::GetCapturedStderr();
  return command;
}

/// Standard output of a command that must succeed.
inline std::string output_of(const std::vector<std::string>& args) {
  const CapturedCommand command = capture_command(args);
  EXPECT_EQ(command.exit_code, 0) << command.err;
  return command.out;
}

}  // namespace fathom::harness
