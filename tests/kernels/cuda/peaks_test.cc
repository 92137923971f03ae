// Peaks of an emulated device mean nothing; that they are measured without a fault is what is tested.
#include "kernels/cuda/peaks.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fathom::kernels::cuda {
namespace {

TEST(Peaks, AreMeasuredOnAnyDevice) {
  const OwnedStream owned(Space::kCuda, nullptr);
  const DevicePeaks peaks = measure_peaks(owned.stream(), 1e-3);
  for (const double rate : {peaks.fma_flops, peaks.bf16_flops, peaks.read_bandwidth}) {
    EXPECT_GT(rate, 0.0);
    EXPECT_TRUE(std::isfinite(rate));
  }
}

}  // namespace
}  // namespace fathom::kernels::cuda
