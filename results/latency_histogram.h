// A histogram of latencies with buckets an eighth of a doubling wide: quantiles to 12.5 %, mergeable over
// ticks, ranks and runs.
//
// Stored form: for each bucket that is not empty, in order, u16 bucket and u32 count, little-endian.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace fathom::results {

class LatencyHistogram {
 public:
  void add(int64_t microseconds);
  void merge(const LatencyHistogram& other);

  int64_t count() const;
  /// Middle of the bucket that holds the `p` quantile, in microseconds; absent when empty.
  std::optional<double> quantile(double p) const;

  std::vector<uint8_t> encode() const;
  /// Throws Error{kBadInput} for bytes that encode() cannot have made.
  static LatencyHistogram decode(std::span<const uint8_t> bytes);

 private:
  std::map<uint16_t, uint32_t> counts_;
};

}  // namespace fathom::results
