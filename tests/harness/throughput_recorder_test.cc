#include "harness/throughput_recorder.h"

#include <gtest/gtest.h>

#include <atomic>

namespace fathom::harness {
namespace {

// An engine that only counts.
class CountingEngine : public engine::Engine {
 public:
  void submit(engine::Request) override {}
  std::optional<engine::Completion> next() override { return std::nullopt; }
  engine::EngineLoad load() const override {
    return {.prefill_tokens = prefill_tokens,
            .decode_tokens = decode_tokens,
            .n_running = 1,
            .n_waiting = n_waiting,
            .blocks_used = 3,
            .blocks_total = 10,
            .device_bytes = std::nullopt};
  }
  int64_t max_tokens() const override { return 1; }
  std::string numerics_json() const override { return "{}"; }

  std::atomic<int64_t> prefill_tokens = 1000;  // before the recorder began
  std::atomic<int64_t> decode_tokens = 0;
  std::atomic<int64_t> n_waiting = 0;
};

engine::Completion generated(double first_token_s, std::vector<int64_t> gaps_us, int64_t cached_tokens) {
  engine::Completion completion{.id = 1, .result = engine::GenerateResult{}, .timing = {}};
  completion.timing.first_token_s = first_token_s;
  completion.timing.inter_token_us = std::move(gaps_us);
  completion.timing.cached_tokens = cached_tokens;
  return completion;
}

TEST(ThroughputRecorder, CountsWhatHappenedSinceTheTickBefore) {
  CountingEngine engine;
  ThroughputRecorder recorder(engine, std::chrono::hours(1));
  engine.prefill_tokens += 70;
  engine.decode_tokens += 5;
  engine.n_waiting = 4;
  recorder.add(generated(0.25, {1000, 1000, 8000}, 64));
  recorder.add_finished(2);
  EXPECT_TRUE(recorder.take().empty()) << "the interval has not ended";
  recorder.stop();
  const std::vector<results::PerfTick> ticks = recorder.take();
  ASSERT_EQ(ticks.size(), 1u);
  const results::PerfTick& tick = ticks[0];
  EXPECT_EQ(tick.prefill_tokens, 70);
  EXPECT_EQ(tick.decode_tokens, 5);
  EXPECT_EQ(tick.cached_tokens, 64);
  EXPECT_EQ(tick.n_samples, 2);
  EXPECT_EQ(tick.n_running, 1);
  EXPECT_EQ(tick.n_waiting, 4);
  EXPECT_EQ(tick.blocks_used, 3);
  EXPECT_EQ(tick.blocks_total, 10);
  EXPECT_EQ(tick.first_token.count(), 1);
  EXPECT_NEAR(*tick.first_token.quantile(0.5), 250'000, 250'000 / 8);
  EXPECT_EQ(tick.inter_token.count(), 3);
  EXPECT_NEAR(*tick.inter_token.quantile(0.99), 8000, 1000);
  EXPECT_GT(tick.rss_bytes, 1 << 20);
  EXPECT_GT(tick.dt_us, 0);
  EXPECT_FALSE(tick.device_bytes);
  EXPECT_TRUE(recorder.take().empty());
}

TEST(ThroughputRecorder, ClosesATickAnIntervalWhileNothingIsReported) {
  CountingEngine engine;
  ThroughputRecorder recorder(engine, std::chrono::milliseconds(20));
  std::vector<results::PerfTick> ticks;
  while (ticks.size() < 3) {
    for (results::PerfTick& tick : recorder.take()) ticks.push_back(std::move(tick));
    std::this_thread::yield();
  }
  for (const results::PerfTick& tick : ticks) EXPECT_GE(tick.dt_us, 20'000);
}

TEST(ThroughputRecorder, AFailedRequestHasNoLatency) {
  CountingEngine engine;
  ThroughputRecorder recorder(engine, std::chrono::hours(1));
  recorder.add({.id = 1, .result = engine::RequestFailure{"too long"}, .timing = {}});
  recorder.stop();
  EXPECT_EQ(recorder.take().at(0).first_token.count(), 0);
}

}  // namespace
}  // namespace fathom::harness
