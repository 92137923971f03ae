// RequestBuilder: from a tasks::Prompt to the token ids that the engine gets.
//
// The one place where text becomes ids for a run, so that `fathom render` shows exactly what `fathom run`
// sends. Encoding of context and continuation follows lm-evaluation-harness 0.4.13 (lm_eval/api/model.py,
// _encode_pair): white space at the end of the context moves to the continuations, and a continuation is what
// the encoding of both together has beyond the context's own ids. Where that encoding does not begin with the
// context's ids (a token spans the join), the continuation is encoded alone and the prompt is flagged.
// Not thread-safe: it remembers the last text, since neighbouring prompts share their beginning.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/engine.h"
#include "engine/tokenizer.h"
#include "tasks/sample.h"
#include "tasks/token_counter.h"

namespace fathom::harness {

/// What happens to a prompt that does not fit.
enum class Truncate {
  kError,  ///< the sample gets no score
  kLeft,   ///< ids are cut from the left, as lm-eval does; how many is recorded
};

struct RequestOptions {
  engine::BosRule bos = engine::BosRule::kCheckpoint;
  engine::SpecialTokens special =
      engine::SpecialTokens::kParse;  ///< for raw prompts; chat contents never parse
  Truncate truncate = Truncate::kError;
  int64_t max_tokens = 0;  ///< the model's context length; 0: not limited
};

struct BuiltRequest {
  std::string text;  ///< the context as text, after a chat template: what prompt_sha256 hashes
  /// Context and continuations, or prompt and generation parameters. The seed of a sampled generation is left
  /// 0: the run loop sets one for each repeat.
  std::variant<engine::ScoreRequest, engine::GenerateRequest> body;
  uint32_t flags = 0;       ///< scorers::Flag: truncated, boundary merge
  int64_t n_truncated = 0;  ///< ids cut from the left
  /// Why the request cannot be sent ("2,310 tokens, but the model's context holds 2,048; ..."), if so.
  std::optional<std::string> refusal;

  /// The ids of the context or prompt.
  const std::vector<engine::TokenId>& context() const;
  /// SHA-256 over the context ids in decimal joined by ",", in hexadecimal.
  std::string ids_sha256() const;
};

class RequestBuilder {
 public:
  /// `tokenizer` must outlive the builder.
  RequestBuilder(const engine::Tokenizer& tokenizer, RequestOptions options);
  ~RequestBuilder();
  RequestBuilder(RequestBuilder&&) noexcept;

  /// Throws Error{kBadInput} when the prompt has turns and the checkpoint has no chat template fathom knows.
  BuiltRequest build(const tasks::Prompt& prompt);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The engine's tokenizer as tasks see it: raw text, special tokens parsed, no BOS.
class TokenizerCounter : public tasks::TokenCounter {
 public:
  explicit TokenizerCounter(const engine::Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  std::vector<int32_t> encode(std::string_view text) const override;
  std::string decode(std::span<const int32_t> ids) const override;
  int64_t count(std::string_view text) const override;

 private:
  const engine::Tokenizer& tokenizer_;
};

}  // namespace fathom::harness
