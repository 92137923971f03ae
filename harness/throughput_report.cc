#include "harness/throughput_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "results/throughput.h"

namespace fathom::harness {
namespace {

using nlohmann::json;
using results::LatencyHistogram;
using results::RunThroughput;

// "12.3 ms" or "4.56 s".
std::string latency(double microseconds) {
  return microseconds < 1e6 ? fmt::format("{:.1f} ms", microseconds / 1e3)
                            : fmt::format("{:.2f} s", microseconds / 1e6);
}

std::string latencies(const char* what, const LatencyHistogram& histogram) {
  if (histogram.count() == 0) return {};
  return fmt::format("{}: median {}, p95 {}, p99 {}\n", what, latency(*histogram.quantile(0.5)),
                     latency(*histogram.quantile(0.95)), latency(*histogram.quantile(0.99)));
}

std::string mebibytes(int64_t bytes) {
  return fmt::format("{:.0f} MiB", static_cast<double>(bytes) / (1 << 20));
}

std::string memory_line(const RunThroughput& t) {
  std::string text = "memory: " + mebibytes(t.max_rss_bytes);
  if (t.max_device_bytes) text += fmt::format(", device {}", mebibytes(*t.max_device_bytes));
  if (t.blocks_total) {
    text += fmt::format("; latent cache: {} of {} blocks used at most", t.max_blocks_used.value_or(0),
                        *t.blocks_total);
  }
  return text + "\n";
}

json quantiles(const LatencyHistogram& histogram) {
  if (histogram.count() == 0) return nullptr;
  return {{"n", histogram.count()},
          {"p50_us", *histogram.quantile(0.5)},
          {"p95_us", *histogram.quantile(0.95)},
          {"p99_us", *histogram.quantile(0.99)}};
}

template <typename T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

}  // namespace

std::string throughput_text(const results::Database& database, int64_t run_id) {
  const std::optional<RunThroughput> t = results::run_throughput(database, run_id);
  if (!t) return {};
  std::string text =
      fmt::format("throughput: {} samples in {}: {:.4g} samples/s, {:.0f} prompt tokens/s computed",
                  t->n_samples, format_duration(t->wall_s), t->samples_per_s(), t->prefill_tokens_per_s());
  if (t->cached_tokens > 0) text += fmt::format(" ({} from the prefix cache)", t->cached_tokens);
  if (t->decode_tokens > 0) text += fmt::format(", {:.0f} generated tokens/s", t->decode_tokens_per_s());
  if (const auto cost = t->core_s_per_sample()) text += fmt::format(", {:.3g} core-seconds a sample", *cost);
  text += "\n";
  // A scored request has one latency, from submission to the end; it is its first token's.
  text += latencies("latency to the first token or score", t->first_token);
  text += latencies("latency between generated tokens", t->inter_token);
  return text + memory_line(*t);
}

json throughput_json(const results::Database& database, int64_t run_id) {
  const std::optional<RunThroughput> t = results::run_throughput(database, run_id);
  if (!t) return nullptr;
  return {{"samples", t->n_samples},
          {"wall_s", t->wall_s},
          {"cpu_s", t->cpu_s},
          {"samples_per_s", t->samples_per_s()},
          {"core_s_per_sample", or_null(t->core_s_per_sample())},
          {"prefill_tokens", t->prefill_tokens},
          {"decode_tokens", t->decode_tokens},
          {"cached_tokens", t->cached_tokens},
          {"prefill_tokens_per_s", t->prefill_tokens_per_s()},
          {"decode_tokens_per_s", t->decode_tokens_per_s()},
          {"max_running", t->max_running},
          {"max_waiting", t->max_waiting},
          {"max_blocks_used", or_null(t->max_blocks_used)},
          {"blocks_total", or_null(t->blocks_total)},
          {"first_token", quantiles(t->first_token)},
          {"inter_token", quantiles(t->inter_token)},
          {"max_rss_bytes", t->max_rss_bytes},
          {"max_device_bytes", or_null(t->max_device_bytes)}};
}

}  // namespace fathom::harness
