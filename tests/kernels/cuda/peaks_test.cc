// Peaks of an emulated device mean nothing; that they are measured without a fault is what is tested.
#include "kernels/cuda/peaks.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fathom::kernels::cuda {
namespace {

TEST(Peaks, AreMeasuredOnAnyDevice) {
  const OwnedStream owned(Space::kCuda, nullptr);
  const DevicePeaks peaks = measure_peaks(owned.stream(), 1e-3);
  EXPECT_GT(peaks.fma_flops, 0.0);
  EXPECT_TRUE(std::isfinite(peaks.fma_flops));
  EXPECT_GT(peaks.read_bandwidth, 0.0);
  EXPECT_TRUE(std::isfinite(peaks.read_bandwidth));
}

}  // namespace
}  // namespace fathom::kernels::cuda
