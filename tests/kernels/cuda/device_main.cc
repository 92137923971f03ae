// Tests on a CUDA device. Without one they say so and are not run: the text is what CTest knows a skip by.
#include <gtest/gtest.h>

#include <cstdio>

#include "kernels/device.h"
#include "tests/space_under_test.h"

int main(int argc, char** argv) {
  namespace kernels = fathom::kernels;
  ::testing::InitGoogleTest(&argc, argv);
  if (const std::optional<std::string> reason = kernels::why_unusable(kernels::Space::kCuda)) {
    std::printf("skipped: no CUDA device (%s)\n", reason->c_str());
    return 0;
  }
  kernels::space_under_test() = kernels::Space::kCuda;
  // A forked child cannot use the device: death tests start the binary anew.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  return RUN_ALL_TESTS();
}
