#include "engine/embedded_engine.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/thread_pool.h"
#include "engine/end_of_sequence.h"
#include "engine/forward.h"
#include "engine/latent_cache.h"
#include "engine/stop_text.h"

namespace fathom::engine {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

int64_t half_of_memory() {
  return static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) / 2 * static_cast<int64_t>(::sysconf(_SC_PAGESIZE));
}

EngineOptions resolved(EngineOptions options, const ModelConfig& config) {
  if (options.n_threads == 0) options.n_threads = usable_processors();
  if (options.n_threads < 1)
    throw Error(ErrorKind::kUsage, fmt::format("{} threads; expected at least 1", options.n_threads));
  if (options.chunk_tokens < 1) throw Error(ErrorKind::kUsage, "chunk_tokens must be at least 1");
  const int64_t block_bytes = kernels::kBlockTokens * LatentCache::token_bytes(config);
  const int64_t wanted = options.max_tokens.value_or(config.max_position_embeddings);
  const int64_t wanted_bytes = (wanted + kernels::kBlockTokens - 1) / kernels::kBlockTokens * block_bytes;
  const int64_t budget =
      options.kv_memory_bytes.value_or(options.max_tokens ? wanted_bytes : half_of_memory());
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

WorkspaceLimits workspace_limits(const EngineOptions& options) {
  WorkspaceLimits limits;
  limits.max_rows = std::min(options.chunk_tokens, *options.max_tokens);
  limits.max_runs = 1;
  limits.max_positions = *options.max_tokens;
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
        options(resolved(options_in, config)),
        pool(options.n_threads),
        stream{kernels::Space::kCpu, &pool},
        eos_ids(end_of_sequence_ids(*checkpoint)),
        rounded(options.dtype == WeightDtype::kBF16 ? round_weights(stream, checkpoint->weights())
                                                    : RoundedWeights{}),
        cache(stream.space, config,
              (*options.max_tokens + kernels::kBlockTokens - 1) / kernels::kBlockTokens),
        forward(config, options.dtype == WeightDtype::kBF16 ? rounded.weights : checkpoint->weights(), cache,
                stream, workspace_limits(options)) {
    if (tokenizer != nullptr && tokenizer->vocab_size() > config.vocab_size) {
      bad_input(checkpoint->model_dir().string(), "the tokenizer has {} ids, the model's vocab_size is {}",
                tokenizer->vocab_size(), config.vocab_size);
    }
  }

  AttentionForm scored_form() const {
    return options.attention == AttentionRule::kAbsorbed ? AttentionForm::kAbsorbed
                                                         : AttentionForm::kExpanded;
  }
  AttentionForm generated_form() const {
    return options.attention == AttentionRule::kExpanded ? AttentionForm::kExpanded
                                                         : AttentionForm::kAbsorbed;
  }

  /// Runs `ids` from `first_position` on, a chunk at a time; after_chunk(begin, n) sees rows 0 .. n-1 as
  /// ids[begin .. begin + n).
  template <typename AfterChunk>
  void feed(const CachedSequence& sequence, std::span<const TokenId> ids, int64_t first_position,
            AttentionForm form, const AfterChunk& after_chunk) {
    for (size_t begin = 0; begin < ids.size();) {
      const size_t n = std::min(ids.size() - begin, static_cast<size_t>(forward.limits().max_rows));
      const Run run{ids.subspan(begin, n), first_position + static_cast<int64_t>(begin), sequence.blocks(),
                    form};
      forward.run({&run, 1});
      after_chunk(begin, n);
      begin += n;
    }
  }

  ScoreResult score(const ScoreRequest& request);
  void score_first_tokens(const ScoreRequest& request, int64_t last_row, ScoreResult& result);
  void score_rest(const CachedSequence& sequence, int64_t first_position,
                  std::span<const TokenId> continuation, ContinuationScore& score);
  GenerateResult generate(const GenerateRequest& request, Clock::time_point submitted, Timing& timing);

  std::optional<std::string> refusal(const ScoreRequest& request) const;
  std::optional<std::string> refusal(const GenerateRequest& request) const;
  std::optional<std::string> refusal(std::span<const TokenId> ids, int64_t n_new) const;

  struct Pending {
    Request request;
    Clock::time_point submitted;
  };

  std::shared_ptr<const Checkpoint> checkpoint;
  std::shared_ptr<const Tokenizer> tokenizer;
  const ModelConfig& config;
  EngineOptions options;  // resolved: n_threads and max_tokens are set
  ThreadPool pool;
  kernels::Stream stream;
  std::vector<TokenId> eos_ids;
  RoundedWeights rounded;
  LatentCache cache;
  Forward forward;
  std::deque<Pending> pending;
};

std::optional<std::string> EmbeddedEngine::Impl::refusal(std::span<const TokenId> ids, int64_t n_new) const {
  if (ids.empty()) return "no token ids; at least one is needed (BOS, say)";
  for (TokenId id : ids) {
    if (id < 0 || id >= config.vocab_size)
      return fmt::format("token id {} is not in [0, {})", id, config.vocab_size);
  }
  const int64_t n = static_cast<int64_t>(ids.size()) + n_new;
  if (n > *options.max_tokens) {
    return fmt::format("{} tokens ({} given, {} to come) exceed the limit of {}", n, ids.size(), n_new,
                       *options.max_tokens);
  }
  return std::nullopt;
}

std::optional<std::string> EmbeddedEngine::Impl::refusal(const ScoreRequest& request) const {
  for (const auto& continuation : request.continuations) {
    if (auto reason = refusal(continuation, static_cast<int64_t>(request.context.size()))) return reason;
  }
  return refusal(request.context, 0);
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

ScoreResult EmbeddedEngine::Impl::score(const ScoreRequest& request) {
  ScoreResult result;
  if (request.continuations.empty()) return result;
  size_t longest = 0;
  for (const auto& continuation : request.continuations) longest = std::max(longest, continuation.size());
  const int64_t n_context = static_cast<int64_t>(request.context.size());
  CachedSequence sequence(cache);
  sequence.reserve(n_context + static_cast<int64_t>(longest) - 1);
  feed(sequence, request.context, 0, scored_form(), [](size_t, size_t) {});
  score_first_tokens(request, forward.n_rows() - 1, result);
  for (size_t i = 0; i < request.continuations.size(); ++i) {
    // Each continuation overwrites the cache rows of the one before, from the end of the shared context on.
    score_rest(sequence, n_context, request.continuations[i], result.continuations[i]);
    ContinuationScore& score = result.continuations[i];
    for (float logprob : score.logprobs) score.sum_logprob += logprob;
  }
  return result;
}

// The first token of every continuation comes off one row.
void EmbeddedEngine::Impl::score_first_tokens(const ScoreRequest& request, int64_t last_row,
                                              ScoreResult& result) {
  std::vector<TokenId> firsts;
  for (const auto& continuation : request.continuations) firsts.push_back(continuation.front());
  std::vector<float> logprobs(firsts.size());
  std::vector<ScoredRow> rows;
  const size_t most = static_cast<size_t>(forward.limits().max_targets);
  for (size_t i = 0; i < firsts.size(); i += most) {
    const size_t n = std::min(most, firsts.size() - i);
    rows.push_back({last_row, std::span(firsts).subspan(i, n), std::span(logprobs).subspan(i, n)});
  }
  forward.score(rows);
  for (size_t i = 0; i < firsts.size(); ++i) {
    result.continuations.push_back({.logprobs = {logprobs[i]}, .is_greedy = firsts[i] == rows[0].argmax});
  }
}

void EmbeddedEngine::Impl::score_rest(const CachedSequence& sequence, int64_t first_position,
                                      std::span<const TokenId> continuation, ContinuationScore& score) {
  score.logprobs.resize(continuation.size());
  std::vector<ScoredRow> rows;
  feed(sequence, continuation.first(continuation.size() - 1), first_position, scored_form(),
       [&](size_t begin, size_t n) {
         rows.clear();
         for (size_t i = 0; i < n; ++i) {
           rows.push_back({static_cast<int64_t>(i), continuation.subspan(begin + i + 1, 1),
                           std::span(score.logprobs).subspan(begin + i + 1, 1)});
         }
         forward.score(rows);
         for (const ScoredRow& row : rows) score.is_greedy = score.is_greedy && row.argmax == row.targets[0];
       });
}

GenerateResult EmbeddedEngine::Impl::generate(const GenerateRequest& request, Clock::time_point submitted,
                                              Timing& timing) {
  GenerateResult result;
  if (request.max_tokens == 0) return result;
  CachedSequence sequence(cache);
  int64_t position = static_cast<int64_t>(request.prompt.size());
  sequence.reserve(position + request.max_tokens - 1);
  feed(sequence, request.prompt, 0, scored_form(), [](size_t, size_t) {});
  StopText stop(tokenizer.get(), request.stop);
  while (true) {
    DrawnRow row{.row = forward.n_rows() - 1,
                 .sampling = {.temperature = static_cast<float>(request.sampling.temperature),
                              .top_p = static_cast<float>(request.sampling.top_p),
                              .seed = request.sampling.seed,
                              .position = position}};
    forward.sample({&row, 1});
    if (result.ids.empty()) timing.first_token_s = seconds_since(submitted);
    result.ids.push_back(row.id);
    result.logprobs.push_back(row.logprob);
    if (!request.ignore_eos && std::find(eos_ids.begin(), eos_ids.end(), row.id) != eos_ids.end()) {
      result.finish_reason = FinishReason::kEos;
      break;
    }
    stop.add(row.id);
    if (stop.found()) {
      result.finish_reason = FinishReason::kStop;
      break;
    }
    if (static_cast<int64_t>(result.ids.size()) == request.max_tokens) break;
    feed(sequence, {&row.id, 1}, position, generated_form(), [](size_t, size_t) {});
    ++position;
  }
  result.text = stop.text();
  return result;
}

EmbeddedEngine::EmbeddedEngine(std::shared_ptr<const Checkpoint> checkpoint,
                               std::shared_ptr<const Tokenizer> tokenizer, const EngineOptions& options)
    : impl_(std::make_unique<Impl>(std::move(checkpoint), std::move(tokenizer), options)) {}

EmbeddedEngine::~EmbeddedEngine() = default;

void EmbeddedEngine::submit(Request request) {
  impl_->pending.push_back({std::move(request), Clock::now()});
}

std::optional<Completion> EmbeddedEngine::next() {
  if (impl_->pending.empty()) return std::nullopt;
  const Impl::Pending job = std::move(impl_->pending.front());
  impl_->pending.pop_front();
  Completion completion;
  completion.id = job.request.id;
  completion.timing.queue_s = seconds_since(job.submitted);
  if (const auto* score = std::get_if<ScoreRequest>(&job.request.body)) {
    completion.timing.prompt_tokens = static_cast<int64_t>(score->context.size());
    if (auto reason = impl_->refusal(*score)) {
      completion.result = RequestFailure{*reason};
    } else {
      completion.result = impl_->score(*score);
    }
    completion.timing.first_token_s = seconds_since(job.submitted);
  } else {
    const auto& generate = std::get<GenerateRequest>(job.request.body);
    completion.timing.prompt_tokens = static_cast<int64_t>(generate.prompt.size());
    if (auto reason = impl_->refusal(generate)) {
      completion.result = RequestFailure{*reason};
    } else {
      completion.result = impl_->generate(generate, job.submitted, completion.timing);
    }
  }
  completion.timing.total_s = seconds_since(job.submitted);
  return completion;
}

int64_t EmbeddedEngine::max_tokens() const {
  return *impl_->options.max_tokens;
}

int EmbeddedEngine::n_threads() const {
  return impl_->options.n_threads;
}

std::string EmbeddedEngine::numerics_json() const {
  const kernels::Space space = impl_->stream.space;
  return nlohmann::json{
      {"attention", attention_rule_name(impl_->options.attention)},
      {"compute", "fp32"},
      {"instruction_set", kernels::instruction_set(space)},
      {"kernel_set", kernels::kernel_set(space)},
      {"kv", "fp32"},
      // bf16 asked of a checkpoint that is bf16 changes nothing.
      {"weights", impl_->rounded.buffers.empty() ? "stored" : "bf16"},
  }
      .dump();
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
  CachedSequence sequence(impl_->cache);
  sequence.reserve(static_cast<int64_t>(ids.size()));
  std::vector<ScoredRow> rows;
  impl_->feed(sequence, ids, 0, impl_->scored_form(), [&](size_t begin, size_t n) {
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
  });
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
