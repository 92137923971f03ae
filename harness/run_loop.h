// The run loop: requests to the engine, answers to the scorers, samples to the store.
//
// The engine never waits for a scorer, a program in the sandbox or the disk longer than one batch: answers
// are scored as they come, programs run beside the engine, and samples are committed in batches of at most 64
// or one second, whole or not at all.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <span>

#include "engine/engine.h"
#include "harness/code_execution.h"
#include "harness/work_feed.h"
#include "results/store.h"

namespace fathom::harness {

/// Why the loop ended.
enum class LoopEnd {
  kFinished,     ///< every planned sample is in the store, as an answer or as an error
  kInterrupted,  ///< `stop` was set; what was answered until then is in the store
};

struct LoopCounts {
  int64_t n_samples = 0;      ///< committed by this loop
  int64_t n_errors = 0;       ///< of those, without a score
  int64_t prompt_tokens = 0;  ///< asked
  int64_t cached_tokens = 0;  ///< of those, not computed again
  int64_t output_tokens = 0;
  double elapsed_s = 0.0;
};

struct LoopInputs {
  std::span<const OpenTask> tasks;
  engine::Engine* engine = nullptr;
  CodeExecution* code = nullptr;  ///< needed when a task runs code
  results::Store* store = nullptr;
  uint64_t seed = 0;
  std::string progress_name;
  int64_t n_already_stored = 0;
  /// Called after each commit, with what is now on disk and stays there whatever happens; may be empty.
  std::function<void(std::span<const results::SampleRecord>)> on_committed = {};
  const std::atomic<int>* stop = nullptr;  ///< set by a signal handler
};

/// Where the loop's work comes from: WorkFeed::next, or nothing after the last item.
using NextItem = std::function<std::optional<WorkItem>()>;

/// Runs everything that `next_item` yields. Throws what the engine, the store or the rendering throws;
/// samples answered before that are committed.
/// Ticks of the throughput are given to the store as they are closed.
LoopEnd run_loop(const LoopInputs& inputs, const NextItem& next_item, LoopCounts& counts);

}  // namespace fathom::harness
