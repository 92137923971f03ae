// Engine: what answers. Requests stream in, completions stream out, in whatever order they finish.
//
// A result is a pure function of the model, the request's own token ids and the numerics identity; it never
// depends on what else was submitted. One thread submits and collects; an engine may compute on others.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/token.h"

namespace fathom::engine {

/// log p of each continuation given the context.
struct ScoreRequest {
  std::vector<TokenId> context;                     ///< at least one id
  std::vector<std::vector<TokenId>> continuations;  ///< each at least one id
};

struct Sampling {
  double temperature = 0.0;  ///< 0: greedy, ties to the lowest id
  double top_p = 1.0;        ///< after temperature; the token that crosses the threshold is kept
  uint64_t seed = 0;         ///< draws depend on seed and position alone
};

struct GenerateRequest {
  std::vector<TokenId> prompt;  ///< at least one id
  int64_t max_tokens = 0;
  std::vector<std::string> stop;  ///< text is cut before the first occurrence of any
  Sampling sampling;
  bool ignore_eos = false;
};

struct Request {
  uint64_t id = 0;  ///< chosen by the caller, returned with the completion
  std::variant<ScoreRequest, GenerateRequest> body;
};

struct ContinuationScore {
  double sum_logprob = 0.0;     ///< sum of `logprobs` in double
  std::vector<float> logprobs;  ///< one per continuation token
  bool is_greedy = false;       ///< every token was the argmax (ties to the lowest id)
};

enum class FinishReason { kScored, kEos, kStop, kLength };
std::string_view finish_reason_name(FinishReason reason);  // "scored", "eos", "stop", "length"

struct ScoreResult {
  std::vector<ContinuationScore> continuations;
};

struct GenerateResult {
  std::vector<TokenId> ids;  ///< all generated ids, those of a stop string or EOS included
  std::string text;          ///< decoded, after the stop cut, special tokens left out
  std::vector<float> logprobs;
  FinishReason finish_reason = FinishReason::kLength;
};

/// The request could not be answered (too long, say); the rest goes on. Never a wrong answer.
struct RequestFailure {
  std::string message;
};

struct Timing {
  double queue_s = 0.0;        ///< submit to first computed token
  double first_token_s = 0.0;  ///< submit to first generated token, or to the end of a score request
  double total_s = 0.0;
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;            ///< prompt tokens whose state was reused
  std::vector<int64_t> inter_token_us;  ///< time between each generated token and the one before
};

struct Completion {
  uint64_t id = 0;
  std::variant<ScoreResult, GenerateResult, RequestFailure> result;
  Timing timing;
};

/// What an engine has done since it was made, and what it holds, as of its last forward pass.
struct EngineLoad {
  int64_t prefill_tokens =
      0;                      ///< tokens of prompts, contexts and continuations computed; cache hits excluded
  int64_t decode_tokens = 0;  ///< tokens generated
  int64_t n_running = 0;      ///< requests being computed
  int64_t n_waiting = 0;      ///< requests submitted and not begun
  std::optional<int64_t> blocks_used;  ///< of the latent cache
  std::optional<int64_t> blocks_total;
  std::optional<int64_t> device_bytes;  ///< memory held on an accelerator; absent without one
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual void submit(Request request) = 0;
  /// The next finished request; blocks while work is pending, nothing when none is left. Throws
  /// Error{kEngine} when the engine itself fails (a NaN, say, with the layer's name).
  virtual std::optional<Completion> next() = 0;
  /// For a throughput record; safe to call from any thread while next() computes.
  virtual EngineLoad load() const = 0;
  /// Longest context plus continuation or generation, in tokens.
  virtual int64_t max_tokens() const = 0;
  /// {weight dtype, compute, KV format, attention rule, kernel set, instruction set} as canonical JSON: two
  /// runs are comparable bit for bit exactly when these texts are equal.
  virtual std::string numerics_json() const = 0;
};

}  // namespace fathom::engine
