#include "base/process_usage.h"

#include <gtest/gtest.h>

#include <vector>

namespace fathom {
namespace {

TEST(ProcessUsage, ResidentMemoryGrowsWithWhatIsTouched) {
  const int64_t before = resident_bytes();
  const std::vector<char> touched(size_t{64} << 20, 'x');
  EXPECT_GE(resident_bytes() - before, int64_t{60} << 20) << touched.back();
}

TEST(ProcessUsage, ProcessorTimeGrowsWithWork) {
  const int64_t before = process_cpu_us();
  volatile double sum = 0;
  while (process_cpu_us() - before < 20'000) {
    for (int i = 0; i < 1000; ++i) sum = sum + i;
  }
  EXPECT_GE(process_cpu_us() - before, 20'000);
}

}  // namespace
}  // namespace fathom
