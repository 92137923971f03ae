#include "results/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"

namespace fathom::results {
namespace {

constexpr int kSubBits = 3;  // 8 buckets a doubling
constexpr size_t kEntryBytes = 6;

// Values below 8 have a bucket each; above, the leading bit and the three bits after it are the bucket.
uint16_t bucket_of(uint64_t value) {
  if (value < (1u << kSubBits)) return static_cast<uint16_t>(value);
  const int exponent = std::bit_width(value) - 1;
  const uint64_t sub = (value >> (exponent - kSubBits)) & 7;
  return static_cast<uint16_t>(((exponent - kSubBits + 1) << kSubBits) + static_cast<int>(sub));
}

double middle_of(uint16_t bucket) {
  if (bucket < (1u << kSubBits)) return bucket;
  const int shift = (bucket >> kSubBits) - 1;
  const uint64_t low = (uint64_t{8} + (bucket & 7)) << shift;
  return static_cast<double>(low) + static_cast<double>(uint64_t{1} << shift) / 2;
}

}  // namespace

void LatencyHistogram::add(int64_t microseconds) {
  ++counts_[bucket_of(static_cast<uint64_t>(std::max<int64_t>(0, microseconds)))];
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
  for (const auto& [bucket, count] : other.counts_) counts_[bucket] += count;
}

int64_t LatencyHistogram::count() const {
  int64_t total = 0;
  for (const auto& [bucket, count] : counts_) total += count;
  return total;
}

std::optional<double> LatencyHistogram::quantile(double p) const {
  const double target = p * static_cast<double>(count());
  int64_t below = 0;
  for (const auto& [bucket, count] : counts_) {
    below += count;
    if (static_cast<double>(below) >= target) return middle_of(bucket);
  }
  return std::nullopt;
}

std::vector<uint8_t> LatencyHistogram::encode() const {
  std::vector<uint8_t> bytes(counts_.size() * kEntryBytes);
  uint8_t* entry = bytes.data();
  for (const auto& [bucket, count] : counts_) {
    std::memcpy(entry, &bucket, sizeof bucket);
    std::memcpy(entry + sizeof bucket, &count, sizeof count);
    entry += kEntryBytes;
  }
  return bytes;
}

LatencyHistogram LatencyHistogram::decode(std::span<const uint8_t> bytes) {
  if (bytes.size() % kEntryBytes != 0)
    bad_input({}, "a latency histogram of {} bytes is damaged", bytes.size());
  LatencyHistogram histogram;
  for (size_t at = 0; at < bytes.size(); at += kEntryBytes) {
    uint16_t bucket = 0;
    uint32_t count = 0;
    std::memcpy(&bucket, bytes.data() + at, sizeof bucket);
    std::memcpy(&count, bytes.data() + at + sizeof bucket, sizeof count);
    if (bucket > bucket_of(~uint64_t{0}))
      bad_input({}, "a latency histogram with bucket {} is damaged", bucket);
    histogram.counts_[bucket] = count;
  }
  return histogram;
}

}  // namespace fathom::results
