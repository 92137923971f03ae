// Totals over the ticks of a run: how fast it was, what it cost, how long answers took.
//
// Rates are over the time in which ticks were recorded: the run loop of every attempt. Loading the model,
// hashing its files and the time between attempts are outside.
#pragma once

#include <cstdint>
#include <optional>

#include "results/latency_histogram.h"
#include "results/sqlite.h"

namespace fathom::results {

struct RunThroughput {
  double wall_s = 0.0;         ///< of the rank that recorded longest
  double cpu_s = 0.0;          ///< processor time of all ranks; programs in the sandbox are not in it
  int64_t n_samples = 0;       ///< finished; reused samples are not among them
  int64_t prefill_tokens = 0;  ///< computed, cache hits excluded
  int64_t decode_tokens = 0;
  int64_t cached_tokens = 0;  ///< prompt tokens taken from the prefix cache
  int64_t max_running = 0;    ///< requests
  int64_t max_waiting = 0;
  std::optional<int64_t> max_blocks_used;
  std::optional<int64_t> blocks_total;
  LatencyHistogram first_token;
  LatencyHistogram inter_token;
  int64_t max_rss_bytes = 0;
  std::optional<int64_t> max_device_bytes;

  double samples_per_s() const;
  double prefill_tokens_per_s() const;
  double decode_tokens_per_s() const;
  /// Core-seconds; absent when no sample was finished.
  std::optional<double> core_s_per_sample() const;
};

/// Nothing for a run without ticks: one of an older fathom, or whose samples were all reused. Throws
/// Error{kBadInput} for a damaged histogram.
std::optional<RunThroughput> run_throughput(const Database& database, int64_t run_id);

}  // namespace fathom::results
