// EmbeddedEngine: the DeepSeek-V2 engine inside fathom.
//
// Requests are computed on a thread of the engine's own, many at a time (engine/scheduler.h). Prompt and
// scored tokens take the expanded form of attention, generated tokens the absorbed form. One-token
// continuations are read off the context's last row and never fed. Not thread-safe: one thread submits and
// collects; the kernels use the pool's threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/checkpoint.h"
#include "engine/engine.h"
#include "engine/rounded_weights.h"
#include "engine/scheduler.h"
#include "engine/tokenizer.h"
#include "kernels/device.h"

namespace fathom::engine {

/// Whether requests share passes and what their prompts have in common, or are computed alone, one after
/// another. Never changes a result: kAlone is there to check that, and to measure what sharing saves.
enum class Schedule { kShared, kAlone };

/// Which form of attention a token takes. kAuto goes by its role; the others force one form for all.
enum class AttentionRule { kAuto, kExpanded, kAbsorbed };
std::string_view attention_rule_name(AttentionRule rule);  // "auto", "expanded", "absorbed"

struct EngineOptions {
  // what results depend on (in numerics_json)
  kernels::Space space = kernels::Space::kCpu;  ///< through the kernel set
  WeightDtype dtype = WeightDtype::kF32;
  kernels::Compute compute =
      kernels::Compute::kF32;  ///< of the linear matrices; router, head, attention: fp32
  AttentionRule attention = AttentionRule::kAuto;
  kernels::LatentFormat kv = kernels::LatentFormat::kF32;
  /// kCuda with Compute::kBF16: let the vendor's library compute the matrices that it is proven for
  /// (kernels::OwnedStream::use_library).
  bool verify_kernels = false;

  // what they do not
  int n_threads = 0;                  ///< 0: every processor this process may use
  std::optional<int64_t> max_tokens;  ///< longest sequence; absent: max_position_embeddings
  /// Latent cache; absent: what the longest sequence needs, at least 2 GiB, at most half of the memory (on a
  /// device: of what the weights leave of it).
  std::optional<int64_t> kv_memory_bytes;
  int64_t chunk_tokens = 2048;  ///< tokens of one forward pass
  Schedule schedule = Schedule::kShared;
};

/// Everything about one sequence that `fathom logprobs` prints.
struct SequenceLogprobs {
  std::vector<float> logprobs;   ///< [n - 1]: log p(ids[i + 1] | ids[0..i])
  std::vector<TokenId> argmax;   ///< [n]: most likely id after ids[0..i]
  std::vector<TokenId> top_ids;  ///< the best ids after the last, at most 20
  std::vector<float> top_logprobs;
  /// Per layer [n * num_experts_per_tok] expert ids, empty for dense layers; filled when asked for.
  std::vector<std::vector<int32_t>> routes;
};

class EmbeddedEngine : public Engine {
 public:
  /// Throws Error{kBadInput} for a checkpoint whose tokenizer or EOS ids do not fit, Error{kUsage} for
  /// options out of range, Error{kEnvironment} for a compute that this machine has no instructions for.
  /// `tokenizer` may be null: generations then have ids but no text, and stop strings
  /// are refused.
  EmbeddedEngine(std::shared_ptr<const Checkpoint> checkpoint, std::shared_ptr<const Tokenizer> tokenizer,
                 const EngineOptions& options);
  ~EmbeddedEngine() override;

  void submit(Request request) override;
  std::optional<Completion> next() override;
  EngineLoad load() const override;
  int64_t max_tokens() const override;
  std::string numerics_json() const override;

  /// Scores one sequence at every position; `ids` must be answerable: see check_ids.
  SequenceLogprobs logprobs(std::span<const TokenId> ids, bool with_routes);

  /// Why a sequence of these ids and `n_new` further tokens cannot be computed, or nothing.
  std::optional<std::string> check_ids(std::span<const TokenId> ids, int64_t n_new) const;

  int n_threads() const;
  SchedulerCounters counters() const;
  /// What verify_kernels found; nothing without it.
  const std::optional<kernels::LibraryReport>& library_report() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Loads the checkpoint and its tokenizer and makes the engine.
std::unique_ptr<EmbeddedEngine> make_embedded_engine(const std::filesystem::path& model_dir,
                                                     const EngineOptions& options);
std::unique_ptr<EmbeddedEngine> make_embedded_engine(std::shared_ptr<const Checkpoint> checkpoint,
                                                     std::shared_ptr<const Tokenizer> tokenizer,
                                                     const EngineOptions& options);

}  // namespace fathom::engine
