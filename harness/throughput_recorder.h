// ThroughputRecorder: what a run does each second, for the store.
//
// A thread of its own wakes once a second, reads the engine's counters and closes a tick, so that a request
// that takes minutes is seen while it runs. The run loop reports completions and takes finished ticks; it
// alone talks to the store. All functions are safe from both threads.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "results/records.h"

namespace fathom::harness {

class ThroughputRecorder {
 public:
  /// `engine` must outlive the recorder. Ticks are `interval` apart, the last one excepted.
  explicit ThroughputRecorder(const engine::Engine& engine,
                              std::chrono::milliseconds interval = std::chrono::milliseconds(1000));
  ~ThroughputRecorder();
  ThroughputRecorder(const ThroughputRecorder&) = delete;
  ThroughputRecorder& operator=(const ThroughputRecorder&) = delete;

  /// Latencies and cache hits of an answered request.
  void add(const engine::Completion& completion);
  /// Samples that are finished: answered, judged, on their way to the disk.
  void add_finished(int64_t n_samples);

  /// Ticks that were closed since the last call.
  std::vector<results::PerfTick> take();
  /// Ends the thread and closes the last, shorter tick; take() then returns everything that is left.
  void stop();

 private:
  void watch(std::chrono::milliseconds interval);
  void close_tick();  // with the mutex held

  const engine::Engine& engine_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  results::PerfTick open_;  // counts since the tick before
  std::chrono::steady_clock::time_point opened_;
  engine::EngineLoad load_before_;
  int64_t cpu_us_before_;
  std::vector<results::PerfTick> closed_;
  std::thread thread_;
};

}  // namespace fathom::harness
