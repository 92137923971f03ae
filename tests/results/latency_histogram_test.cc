#include "results/latency_histogram.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fathom::results {
namespace {

TEST(LatencyHistogram, QuantilesAreWithinABucket) {
  LatencyHistogram histogram;
  for (int64_t us = 1; us <= 100'000; ++us) histogram.add(us);
  EXPECT_EQ(histogram.count(), 100'000);
  EXPECT_NEAR(*histogram.quantile(0.5), 50'000, 0.0625 * 50'000);
  EXPECT_NEAR(*histogram.quantile(0.99), 99'000, 0.0625 * 99'000);
}

TEST(LatencyHistogram, SmallValuesAreExact) {
  LatencyHistogram histogram;
  histogram.add(5);
  EXPECT_EQ(histogram.quantile(0.5), 5.0);
  EXPECT_FALSE(LatencyHistogram().quantile(0.5));
}

TEST(LatencyHistogram, MergingAndStoringKeepEveryCount) {
  LatencyHistogram a;
  LatencyHistogram b;
  for (int64_t us : {0, 7, 8, 1000, 123'456'789}) a.add(us);
  for (int64_t us : {7, 5000}) b.add(us);
  a.merge(b);
  const LatencyHistogram read = LatencyHistogram::decode(a.encode());
  EXPECT_EQ(read.count(), 7);
  EXPECT_EQ(read.encode(), a.encode());
}

TEST(LatencyHistogram, ExtremesHaveABucket) {
  LatencyHistogram histogram;
  histogram.add(-5);
  histogram.add(INT64_MAX);
  EXPECT_EQ(histogram.count(), 2);
  EXPECT_NEAR(*histogram.quantile(1.0), static_cast<double>(INT64_MAX),
              0.0625 * static_cast<double>(INT64_MAX));
}

TEST(LatencyHistogram, DamagedBytesAreAnError) {
  const std::vector<uint8_t> cut = {1, 0, 1};
  EXPECT_THROW(LatencyHistogram::decode(cut), Error);
  const std::vector<uint8_t> high = {255, 255, 1, 0, 0, 0};
  EXPECT_THROW(LatencyHistogram::decode(high), Error);
}

}  // namespace
}  // namespace fathom::results
