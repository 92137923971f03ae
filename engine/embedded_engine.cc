#include "engine/embedded_engine.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/thread_pool.h"
#include "engine/compute_thread.h"
#include "engine/device_weights.h"
#include "engine/end_of_sequence.h"
#include "engine/forward.h"
#include "engine/latent_cache.h"
#include "engine/scheduler.h"
#include "engine/verified_kernels.h"
#include "kernels/device.h"

namespace fathom::engine {
namespace {

// The most that the latent cache takes by default. The CPU's weights are mapped files, a device's take its
// memory.
int64_t most_for_cache(kernels::Space space, const Checkpoint& checkpoint) {
  int64_t bytes = kernels::memory_bytes(space);
  if (space != kernels::Space::kCpu) {
    for (const CheckpointTensor& tensor : checkpoint.tensors())
      bytes -= static_cast<int64_t>(tensor.tensor.bytes());
  }
  return std::max<int64_t>(bytes, 0) / 2;
}

// What one sequence of `max_tokens` needs, and some more for prompts to share.
int64_t default_budget(int64_t wanted_bytes, int64_t most) {
  constexpr int64_t kRoomToShare = int64_t{2} << 30;
  return std::min(most, std::max(wanted_bytes, kRoomToShare));
}

// Before anything is computed: the kernels must be sound here, and able to compute as asked.
void check_compute(kernels::Space space, kernels::Compute compute, const ModelConfig& config) {
  kernels::check_kernels(space);
  const std::string option = fmt::format("--compute {}", kernels::compute_name(compute));
  const bool integers = config.quantization && config.quantization->format != QuantFormat::kFp8;
  if (compute == kernels::Compute::kI8 && !integers) {
    throw Error(ErrorKind::kUsage,
                fmt::format("needs int8 or int4 weights, found {}; fathom model quantize makes them",
                            config.quantization ? quantization_text(*config.quantization) : "plain ones"),
                option);
  }
  if (const std::optional<std::string> refusal = kernels::compute_refusal(space, compute))
    throw Error(ErrorKind::kEnvironment, *refusal + "; use --compute fp32", option);
}

EngineOptions resolved(EngineOptions options, const Checkpoint& checkpoint) {
  if (options.verify_kernels &&
      (options.space != kernels::Space::kCuda || options.compute != kernels::Compute::kBF16)) {
    throw Error(ErrorKind::kUsage,
                fmt::format("needs --device cuda and --compute bf16, found --compute {} on {}; leave it out",
                            kernels::compute_name(options.compute),
                            options.space == kernels::Space::kCuda ? "cuda" : "cpu"),
                "--verify-kernels");
  }
  kernels::check_usable(options.space);
  const ModelConfig& config = checkpoint.config();
  check_compute(options.space, options.compute, config);
  if (options.n_threads == 0) options.n_threads = usable_processors();
  if (options.n_threads < 1)
    throw Error(ErrorKind::kUsage, fmt::format("{} threads; expected at least 1", options.n_threads));
  if (options.chunk_tokens < 1) throw Error(ErrorKind::kUsage, "chunk_tokens must be at least 1");
  if (options.space != kernels::Space::kCpu && options.kv != kernels::LatentFormat::kF32) {
    throw Error(
        ErrorKind::kUsage,
        fmt::format("the kernels of a device read an fp32 cache alone, not {}; use --kv fp32 or --device cpu",
                    kernels::latent_format_name(options.kv)));
  }
  const int64_t block_bytes = kernels::kBlockTokens * LatentCache::token_bytes(config, options.kv);
  const int64_t wanted = options.max_tokens.value_or(config.max_position_embeddings);
  const int64_t wanted_bytes = blocks_for(wanted) * block_bytes;
  if (!options.kv_memory_bytes) {
    options.kv_memory_bytes = default_budget(wanted_bytes, most_for_cache(options.space, checkpoint));
    if (options.max_tokens) options.kv_memory_bytes = std::max(*options.kv_memory_bytes, wanted_bytes);
  }
  const int64_t budget = *options.kv_memory_bytes;
  if (options.max_tokens && wanted_bytes > budget) {
    throw Error(ErrorKind::kUsage,
                fmt::format("sequences of {} tokens need {} bytes of latent cache, {} are allowed", wanted,
                            wanted_bytes, budget));
  }
  options.max_tokens = std::min(wanted, budget / block_bytes * kernels::kBlockTokens);
  if (*options.max_tokens < 1) {
    throw Error(ErrorKind::kUsage,
                fmt::format("a latent cache of {} bytes holds no block of {} bytes", budget, block_bytes));
  }
  return options;
}

int64_t cache_blocks(const EngineOptions& options, const ModelConfig& config) {
  return *options.kv_memory_bytes / (kernels::kBlockTokens * LatentCache::token_bytes(config, options.kv));
}

WorkspaceLimits workspace_limits(const EngineOptions& options) {
  WorkspaceLimits limits;
  if (options.schedule == Schedule::kAlone) limits.max_runs = 1;
  limits.max_rows = options.chunk_tokens;
  limits.max_positions = *options.max_tokens;
  limits.compute = options.compute;
  return limits;
}

}  // namespace

std::string_view attention_rule_name(AttentionRule rule) {
  switch (rule) {
    case AttentionRule::kAuto:
      return "auto";
    case AttentionRule::kExpanded:
      return "expanded";
    case AttentionRule::kAbsorbed:
      return "absorbed";
  }
  FATHOM_CHECK(false, "attention rule {}", static_cast<int>(rule));
}

struct EmbeddedEngine::Impl {
  Impl(std::shared_ptr<const Checkpoint> checkpoint_in, std::shared_ptr<const Tokenizer> tokenizer_in,
       const EngineOptions& options_in)
      : checkpoint(std::move(checkpoint_in)),
        tokenizer(std::move(tokenizer_in)),
        config(checkpoint->config()),
        options(resolved(options_in, *checkpoint)),
        pool(options.n_threads),
        owned_stream(options.space, &pool),
        stream(owned_stream.stream()),
        eos_ids(end_of_sequence_ids(*checkpoint)),
        rounded(options.dtype == WeightDtype::kBF16
                    ? round_weights({.space = kernels::Space::kCpu, .pool = &pool}, checkpoint->weights())
                    : RoundedWeights{}),
        uploaded(options.space == kernels::Space::kCpu ? DeviceWeights{}
                                                       : upload_weights(stream, host_weights())),
        library_report(use_library()),
        cache(stream.space, config, cache_blocks(options, config), options.kv),
        forward(config, options.space == kernels::Space::kCpu ? host_weights() : uploaded.weights, cache,
                stream, workspace_limits(options)),
        scheduler({.forward = &forward,
                   .cache = &cache,
                   .stream = stream,
                   .tokenizer = tokenizer.get(),
                   .eos_ids = eos_ids,
                   .scored = scored_form(),
                   .generated = generated_form(),
                   .share_prompts = options.schedule == Schedule::kShared}) {
    if (tokenizer != nullptr && tokenizer->vocab_size() > config.vocab_size) {
      bad_input(checkpoint->model_dir().string(), "the tokenizer has {} ids, the model's vocab_size is {}",
                tokenizer->vocab_size(), config.vocab_size);
    }
  }

  // Before the stream is handed on.
  std::optional<kernels::LibraryReport> use_library() {
    if (!options.verify_kernels) return std::nullopt;
    auto report = owned_stream.use_library(library_shapes(uploaded.weights), options.chunk_tokens);
    stream = owned_stream.stream();
    return report;
  }
  const Weights& host_weights() const {
    return options.dtype == WeightDtype::kBF16 ? rounded.weights : checkpoint->weights();
  }
  AttentionForm scored_form() const {
    return options.attention == AttentionRule::kAbsorbed ? AttentionForm::kAbsorbed
                                                         : AttentionForm::kExpanded;
  }
  AttentionForm generated_form() const {
    return options.attention == AttentionRule::kExpanded ? AttentionForm::kExpanded
                                                         : AttentionForm::kAbsorbed;
  }

  // "stored", "bf16"; of a quantised checkpoint "int8, groups of 128", followed by ", bf16" where it applies.
  std::string weights_name() const {
    // bf16 asked of a checkpoint that is bf16 changes nothing.
    const bool is_rounded = !rounded.buffers.empty();
    if (!config.quantization) return is_rounded ? "bf16" : "stored";
    return quantization_text(*config.quantization) + (is_rounded ? ", bf16" : "");
  }

  std::optional<std::string> refusal_of_ids(std::span<const TokenId> ids) const;
  std::optional<std::string> refusal(const ScoreRequest& request) const;
  std::optional<std::string> refusal(const GenerateRequest& request) const;
  std::optional<std::string> refusal(std::span<const TokenId> ids, int64_t n_new) const;

  std::shared_ptr<const Checkpoint> checkpoint;
  std::shared_ptr<const Tokenizer> tokenizer;
  const ModelConfig& config;
  EngineOptions options;  // resolved: n_threads and max_tokens are set
  ThreadPool pool;
  kernels::OwnedStream owned_stream;
  kernels::Stream stream;
  std::vector<TokenId> eos_ids;
  RoundedWeights rounded;
  DeviceWeights uploaded;  // empty on the CPU
  std::optional<kernels::LibraryReport> library_report;
  LatentCache cache;
  Forward forward;
  Scheduler scheduler;
  std::deque<Completion> refused;
  ComputeThread compute{scheduler};  // the last member: it ends before what it computes with
};

std::optional<std::string> EmbeddedEngine::Impl::refusal_of_ids(std::span<const TokenId> ids) const {
  if (ids.empty()) return "no token ids; at least one is needed (BOS, say)";
  for (TokenId id : ids) {
    if (id < 0 || id >= config.vocab_size)
      return fmt::format("token id {} is not in [0, {})", id, config.vocab_size);
  }
  return std::nullopt;
}

std::optional<std::string> EmbeddedEngine::Impl::refusal(std::span<const TokenId> ids, int64_t n_new) const {
  if (auto reason = refusal_of_ids(ids)) return reason;
  const int64_t n = std::ssize(ids) + n_new;
  if (n > *options.max_tokens) {
    return fmt::format("{} tokens ({} given, {} to come) exceed the limit of {}", n, ids.size(), n_new,
                       *options.max_tokens);
  }
  return std::nullopt;
}

std::optional<std::string> EmbeddedEngine::Impl::refusal(const ScoreRequest& request) const {
  if (auto reason = refusal(request.context, 0)) return reason;
  for (const auto& continuation : request.continuations) {
    if (auto reason = refusal_of_ids(continuation)) return reason;
    // The last id is scored and never fed: it needs no place of its own.
    if (std::ssize(request.context) + std::ssize(continuation) - 1 > *options.max_tokens) {
      return fmt::format("a context of {} tokens and a continuation of {} exceed the limit of {}",
                         request.context.size(), continuation.size(), *options.max_tokens);
    }
  }
  return std::nullopt;
}

std::optional<std::string> EmbeddedEngine::Impl::refusal(const GenerateRequest& request) const {
  if (request.max_tokens < 0) return fmt::format("max_tokens is {}", request.max_tokens);
  const Sampling& s = request.sampling;
  if (!(s.temperature >= 0.0) || !std::isfinite(s.temperature))
    return fmt::format("temperature is {}", s.temperature);
  if (!(s.top_p > 0.0 && s.top_p <= 1.0)) return fmt::format("top_p is {}; expected (0, 1]", s.top_p);
  if (!request.stop.empty() && tokenizer == nullptr) return "stop strings need a tokenizer";
  for (const std::string& stop : request.stop) {
    if (stop.empty()) return "a stop string is empty";
  }
  return refusal(request.prompt, request.max_tokens);
}

EmbeddedEngine::EmbeddedEngine(std::shared_ptr<const Checkpoint> checkpoint,
                               std::shared_ptr<const Tokenizer> tokenizer, const EngineOptions& options)
    : impl_(std::make_unique<Impl>(std::move(checkpoint), std::move(tokenizer), options)) {}

EmbeddedEngine::~EmbeddedEngine() = default;

void EmbeddedEngine::submit(Request request) {
  const std::optional<std::string> reason =
      std::visit([this](const auto& body) { return impl_->refusal(body); }, request.body);
  if (!reason) return impl_->compute.submit(std::move(request));
  const auto n_prompt = static_cast<int64_t>(prompt_ids(request).size());
  impl_->refused.push_back({request.id, RequestFailure{*reason}, {.prompt_tokens = n_prompt}});
}

std::optional<Completion> EmbeddedEngine::next() {
  if (impl_->refused.empty()) return impl_->compute.next();
  Completion completion = std::move(impl_->refused.front());
  impl_->refused.pop_front();
  return completion;
}

EngineLoad EmbeddedEngine::load() const {
  const SchedulerCounters counters = impl_->compute.counters();
  return {.prefill_tokens = counters.fed_prompt_tokens + counters.continuation_tokens,
          .decode_tokens = counters.generated_tokens,
          .n_running = counters.n_running,
          .n_waiting = counters.n_waiting,
          .blocks_used = counters.blocks_used,
          .blocks_total = counters.blocks_total,
          .device_bytes = kernels::device_bytes(impl_->options.space)};
}

SchedulerCounters EmbeddedEngine::counters() const {
  return impl_->compute.counters();
}

int64_t EmbeddedEngine::max_tokens() const {
  return *impl_->options.max_tokens;
}

int EmbeddedEngine::n_threads() const {
  return impl_->options.n_threads;
}

std::string EmbeddedEngine::numerics_json() const {
  const kernels::Space space = impl_->stream.space;
  nlohmann::json numerics{
      {"attention", attention_rule_name(impl_->options.attention)},
      {"compute", kernels::compute_name(impl_->options.compute)},
      {"instruction_set", kernels::instruction_set(space)},
      {"kernel_set", kernels::kernel_set(space)},
      {"kv", kernels::latent_format_name(impl_->options.kv)},
      {"weights", impl_->weights_name()},
  };
  // Only where there is one: what was stored before stays comparable.
  if (impl_->library_report) {
    if (auto library = library_identity(*impl_->library_report)) numerics["library"] = *library;
  }
  return numerics.dump();
}

const std::optional<kernels::LibraryReport>& EmbeddedEngine::library_report() const {
  return impl_->library_report;
}

std::optional<std::string> EmbeddedEngine::check_ids(std::span<const TokenId> ids, int64_t n_new) const {
  return impl_->refusal(ids, n_new);
}

SequenceLogprobs EmbeddedEngine::logprobs(std::span<const TokenId> ids, bool with_routes) {
  FATHOM_CHECK(!check_ids(ids, 0), "{} ids", ids.size());
  Forward& forward = impl_->forward;
  const ModelConfig& config = impl_->config;
  SequenceLogprobs result;
  result.logprobs.resize(ids.size() - 1);
  if (with_routes) result.routes.resize(static_cast<size_t>(config.num_hidden_layers));
  const auto pause = impl_->compute.pause();
  impl_->scheduler.make_room(blocks_for(static_cast<int64_t>(ids.size())));
  CachedSequence sequence(impl_->cache);
  sequence.reserve(static_cast<int64_t>(ids.size()));
  std::vector<ScoredRow> rows;
  for (size_t begin = 0; begin < ids.size();) {
    const size_t n = std::min(ids.size() - begin, static_cast<size_t>(forward.limits().max_rows));
    const Run run{ids.subspan(begin, n), static_cast<int64_t>(begin), sequence.blocks(),
                  impl_->scored_form()};
    forward.run({&run, 1});
    rows.clear();
    for (size_t i = 0; i < n; ++i) {
      const bool last = begin + i + 1 == ids.size();
      rows.push_back({static_cast<int64_t>(i), last ? ids.first(0) : ids.subspan(begin + i + 1, 1),
                      std::span(result.logprobs).subspan(begin + i, last ? 0 : 1)});
    }
    forward.score(rows);
    for (const ScoredRow& row : rows) result.argmax.push_back(row.argmax);
    for (size_t layer = 0; layer < result.routes.size(); ++layer) {
      const std::vector<int32_t> experts = forward.routes(static_cast<int64_t>(layer));
      result.routes[layer].insert(result.routes[layer].end(), experts.begin(), experts.end());
    }
    begin += n;
  }
  const auto n_top = static_cast<size_t>(std::min(forward.limits().max_top, config.vocab_size));
  result.top_ids.resize(n_top);
  result.top_logprobs.resize(n_top);
  forward.top(forward.n_rows() - 1, result.top_ids, result.top_logprobs);
  return result;
}

std::unique_ptr<EmbeddedEngine> make_embedded_engine(const std::filesystem::path& model_dir,
                                                     const EngineOptions& options) {
  return make_embedded_engine(std::make_shared<const Checkpoint>(Checkpoint::load(model_dir)),
                              std::make_shared<const Tokenizer>(Tokenizer::load(model_dir)), options);
}

std::unique_ptr<EmbeddedEngine> make_embedded_engine(std::shared_ptr<const Checkpoint> checkpoint,
                                                     std::shared_ptr<const Tokenizer> tokenizer,
                                                     const EngineOptions& options) {
  return std::make_unique<EmbeddedEngine>(std::move(checkpoint), std::move(tokenizer), options);
}

}  // namespace fathom::engine
