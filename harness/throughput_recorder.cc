#include "harness/throughput_recorder.h"

#include <utility>

#include "base/clock.h"
#include "base/process_usage.h"

namespace fathom::harness {
namespace {

using Clock = std::chrono::steady_clock;

int64_t microseconds(double seconds) {
  return static_cast<int64_t>(seconds * 1e6);
}

}  // namespace

ThroughputRecorder::ThroughputRecorder(const engine::Engine& engine, std::chrono::milliseconds interval)
    : engine_(engine),
      opened_(Clock::now()),
      load_before_(engine.load()),
      cpu_us_before_(process_cpu_us()),
      thread_([this, interval] { watch(interval); }) {}

ThroughputRecorder::~ThroughputRecorder() {
  stop();
}

void ThroughputRecorder::add(const engine::Completion& completion) {
  if (std::holds_alternative<engine::RequestFailure>(completion.result)) return;
  std::lock_guard lock(mutex_);
  open_.cached_tokens += completion.timing.cached_tokens;
  open_.first_token.add(microseconds(completion.timing.first_token_s));
  for (const int64_t gap_us : completion.timing.inter_token_us) open_.inter_token.add(gap_us);
}

void ThroughputRecorder::add_finished(int64_t n_samples) {
  std::lock_guard lock(mutex_);
  open_.n_samples += n_samples;
}

std::vector<results::PerfTick> ThroughputRecorder::take() {
  std::lock_guard lock(mutex_);
  return std::exchange(closed_, {});
}

void ThroughputRecorder::stop() {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
  std::lock_guard lock(mutex_);
  close_tick();
}

void ThroughputRecorder::watch(std::chrono::milliseconds interval) {
  std::unique_lock lock(mutex_);
  Clock::time_point next = opened_ + interval;
  while (!changed_.wait_until(lock, next, [this] { return stopping_; })) {
    close_tick();
    // After a late wake-up the next tick still gets its whole interval: never more than one an interval.
    next = opened_ + interval;
  }
}

void ThroughputRecorder::close_tick() {
  const Clock::time_point now = Clock::now();
  const engine::EngineLoad load = engine_.load();
  const int64_t cpu_us = process_cpu_us();
  results::PerfTick tick = std::exchange(open_, {});
  tick.t_us = unix_time_us();
  tick.dt_us = std::chrono::duration_cast<std::chrono::microseconds>(now - opened_).count();
  tick.prefill_tokens = load.prefill_tokens - load_before_.prefill_tokens;
  tick.decode_tokens = load.decode_tokens - load_before_.decode_tokens;
  tick.n_running = load.n_running;
  tick.n_waiting = load.n_waiting;
  tick.blocks_used = load.blocks_used;
  tick.blocks_total = load.blocks_total;
  tick.rss_bytes = resident_bytes();
  tick.device_bytes = load.device_bytes;
  tick.cpu_us = cpu_us - cpu_us_before_;
  closed_.push_back(std::move(tick));
  opened_ = now;
  load_before_ = load;
  cpu_us_before_ = cpu_us;
}

}  // namespace fathom::harness
