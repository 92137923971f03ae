#include "results/throughput.h"

#include <algorithm>
#include <map>

namespace fathom::results {
namespace {

double rate(int64_t count, double seconds) {
  return seconds > 0.0 ? static_cast<double>(count) / seconds : 0.0;
}

void keep_larger(std::optional<int64_t>& most, const std::optional<int64_t>& value) {
  if (value) most = std::max(most.value_or(*value), *value);
}

}  // namespace

double RunThroughput::samples_per_s() const {
  return rate(n_samples, wall_s);
}

double RunThroughput::prefill_tokens_per_s() const {
  return rate(prefill_tokens, wall_s);
}

double RunThroughput::decode_tokens_per_s() const {
  return rate(decode_tokens, wall_s);
}

std::optional<double> RunThroughput::core_s_per_sample() const {
  if (n_samples == 0) return std::nullopt;
  return cpu_s / static_cast<double>(n_samples);
}

std::optional<RunThroughput> run_throughput(const Database& database, int64_t run_id) {
  Statement rows = database.prepare(
      "SELECT rank, dt_us, cpu_us, n_samples, prefill_tokens, decode_tokens, cached_tokens, n_running, "
      "n_waiting,"
      "  blocks_used, blocks_total, first_token_us, inter_token_us, rss_bytes, device_bytes"
      " FROM perf_tick WHERE run_id = ?");
  RunThroughput total;
  std::map<int64_t, double> wall_s_of_rank;
  rows.query(run_id);
  while (rows.step()) {
    wall_s_of_rank[rows.integer(0)] += static_cast<double>(rows.integer(1)) / 1e6;
    total.cpu_s += static_cast<double>(rows.integer(2)) / 1e6;
    total.n_samples += rows.integer(3);
    total.prefill_tokens += rows.integer(4);
    total.decode_tokens += rows.integer(5);
    total.cached_tokens += rows.integer(6);
    total.max_running = std::max(total.max_running, rows.integer(7));
    total.max_waiting = std::max(total.max_waiting, rows.integer(8));
    keep_larger(total.max_blocks_used, rows.optional_integer(9));
    keep_larger(total.blocks_total, rows.optional_integer(10));
    total.first_token.merge(LatencyHistogram::decode(rows.bytes(11)));
    total.inter_token.merge(LatencyHistogram::decode(rows.bytes(12)));
    total.max_rss_bytes = std::max(total.max_rss_bytes, rows.integer(13));
    keep_larger(total.max_device_bytes, rows.optional_integer(14));
  }
  if (wall_s_of_rank.empty()) return std::nullopt;
  for (const auto& [rank, wall_s] : wall_s_of_rank) total.wall_s = std::max(total.wall_s, wall_s);
  return total;
}

}  // namespace fathom::results
