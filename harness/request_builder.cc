#include "harness/request_builder.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "base/sha256.h"
#include "base/white_space.h"
#include "engine/chat_template.h"
#include "scorers/score.h"

namespace fathom::harness {
namespace {

using engine::TokenId;
using Ids = std::vector<TokenId>;

// Encodes raw text line by line where that is the same as encoding it whole, and remembers the lines:
// few-shot examples, headers and haystacks come again in every prompt.
class LineEncoder {
 public:
  LineEncoder(const engine::Tokenizer& tokenizer, engine::SpecialTokens special)
      : tokenizer_(tokenizer), special_(special), by_line_(tokenizer.splits_at_line_feeds()) {}

  Ids encode(std::string_view text) {
    if (!by_line_) return tokenizer_.encode(text, special_);
    Ids ids;
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
      const Ids& line = encode_line(text.substr(0, end));
      ids.insert(ids.end(), line.begin(), line.end());
      text.remove_prefix(end);
    }
    return ids;
  }

 private:
  static constexpr size_t kMaxRememberedBytes = size_t{32} << 20;

  const Ids& encode_line(std::string_view line) {
    const std::string key(line);
    if (const auto known = lines_.find(key); known != lines_.end()) return known->second;
    if (remembered_bytes_ > kMaxRememberedBytes) {
      lines_.clear();
      remembered_bytes_ = 0;
    }
    remembered_bytes_ += line.size();
    return lines_.emplace(key, tokenizer_.encode(line, special_)).first->second;
  }

  const engine::Tokenizer& tokenizer_;
  engine::SpecialTokens special_;
  bool by_line_;
  std::unordered_map<std::string, Ids> lines_;
  size_t remembered_bytes_ = 0;
};

bool begins_with(const Ids& whole, const Ids& beginning) {
  return whole.size() >= beginning.size() && std::equal(beginning.begin(), beginning.end(), whole.begin());
}

int64_t longest(const std::vector<Ids>& continuations) {
  size_t n = 0;
  for (const Ids& ids : continuations) n = std::max(n, ids.size());
  return static_cast<int64_t>(n);
}

Ids& context_of(BuiltRequest& request) {
  if (auto* score = std::get_if<engine::ScoreRequest>(&request.body)) return score->context;
  return std::get<engine::GenerateRequest>(request.body).prompt;
}

}  // namespace

struct RequestBuilder::Impl {
  Impl(const engine::Tokenizer& t, RequestOptions o) : tokenizer(t), options(o), lines(t, o.special) {}

  const engine::Tokenizer& tokenizer;
  RequestOptions options;
  LineEncoder lines;

  struct Context {
    std::string text;
    Ids ids;
  };

  Context context_of_text(const tasks::Prompt& prompt) {
    return {.text = prompt.text, .ids = tokenizer.with_bos(lines.encode(prompt.text), options.bos)};
  }

  Context context_of_turns(const tasks::Prompt& prompt) {
    std::vector<engine::ChatTurn> turns;
    for (const tasks::Turn& turn : prompt.turns) turns.push_back({turn.role, turn.content});
    const engine::RenderedChat chat = engine::render_chat(tokenizer, turns, prompt.assistant_prefix);
    return {.text = chat.text, .ids = chat.ids};
  }

  void build_score(const tasks::Prompt& prompt, Context context, BuiltRequest& request) {
    // lm-eval moves white space at the end of the context to the continuations.
    const size_t n_space = trailing_white_space_bytes(context.text);
    const std::string space = context.text.substr(context.text.size() - n_space);
    if (n_space > 0 && prompt.turns.empty()) {
      context.text.resize(context.text.size() - n_space);
      context.ids = tokenizer.with_bos(lines.encode(context.text), options.bos);
    }
    engine::ScoreRequest score{.context = context.ids, .continuations = {}};
    if (score.context.empty()) score.context = prefix_token();
    for (const std::string& continuation : prompt.continuations) {
      score.continuations.push_back(encode_continuation(prompt, context, space, continuation, request));
    }
    request.body = std::move(score);
  }

  // What the encoding of context and continuation together has beyond the context's own ids.
  Ids encode_continuation(const tasks::Prompt& prompt, const Context& context, const std::string& space,
                          const std::string& continuation, BuiltRequest& request) {
    if (!prompt.turns.empty()) return lines.encode(continuation);
    const std::string text = space + continuation;
    const Ids whole = tokenizer.with_bos(lines.encode(context.text + text), options.bos);
    if (begins_with(whole, context.ids) && whole.size() > context.ids.size()) {
      return Ids(whole.begin() + static_cast<std::ptrdiff_t>(context.ids.size()), whole.end());
    }
    request.flags |= scorers::kFlagBoundaryMerge;
    return lines.encode(text);
  }

  // An empty context is conditioned on BOS, else on EOS, as in lm-eval.
  Ids prefix_token() const {
    if (const auto bos = tokenizer.bos_id()) return {*bos};
    if (const auto eos = tokenizer.eos_id()) return {*eos};
    bad_input("tokenizer_config.json",
              "an empty prompt needs a BOS or EOS token, and the tokenizer has neither");
  }

  void build_generate(const tasks::Prompt& prompt, Context context, BuiltRequest& request) {
    engine::GenerateRequest generate;
    generate.prompt = std::move(context.ids);
    if (generate.prompt.empty()) generate.prompt = prefix_token();
    generate.max_tokens = prompt.max_new_tokens;
    generate.stop = prompt.stop;
    generate.sampling = {.temperature = prompt.temperature, .top_p = prompt.top_p, .seed = 0};
    request.body = std::move(generate);
  }

  // Makes room for the answer: cuts ids from the left of the context, or says why the request cannot be sent.
  void fit(BuiltRequest& request) const {
    if (options.max_tokens <= 0) return;
    const auto* score = std::get_if<engine::ScoreRequest>(&request.body);
    const int64_t answer =
        score ? longest(score->continuations) : std::get<engine::GenerateRequest>(request.body).max_tokens;
    Ids& context = context_of(request);
    const auto n_context = static_cast<int64_t>(context.size());
    // The last scored token is never fed, so it needs no place of its own (lm-eval's rule too).
    const int64_t excess = n_context + answer - (score ? 1 : 0) - options.max_tokens;
    if (excess <= 0) return;
    if (options.truncate == Truncate::kError || excess >= n_context) {
      request.refusal = fmt::format(
          "{} prompt and {} answer tokens, but the model's context holds {}{}", n_context, answer,
          options.max_tokens, excess >= n_context ? "" : "; --truncate left cuts the prompt's beginning");
      return;
    }
    context.erase(context.begin(), context.begin() + static_cast<std::ptrdiff_t>(excess));
    request.n_truncated = excess;
    request.flags |= scorers::kFlagTruncated;
  }
};

const std::vector<TokenId>& BuiltRequest::context() const {
  if (const auto* score = std::get_if<engine::ScoreRequest>(&body)) return score->context;
  return std::get<engine::GenerateRequest>(body).prompt;
}

std::string BuiltRequest::ids_sha256() const {
  return to_hex(sha256(fmt::format("{}", fmt::join(context(), ","))));
}

RequestBuilder::RequestBuilder(const engine::Tokenizer& tokenizer, RequestOptions options)
    : impl_(std::make_unique<Impl>(tokenizer, options)) {}
RequestBuilder::~RequestBuilder() = default;
RequestBuilder::RequestBuilder(RequestBuilder&&) noexcept = default;

BuiltRequest RequestBuilder::build(const tasks::Prompt& prompt) {
  BuiltRequest request;
  Impl::Context context =
      prompt.turns.empty() ? impl_->context_of_text(prompt) : impl_->context_of_turns(prompt);
  request.text = context.text;
  if (prompt.continuations.empty()) {
    impl_->build_generate(prompt, std::move(context), request);
  } else {
    impl_->build_score(prompt, std::move(context), request);
  }
  impl_->fit(request);
  return request;
}

std::vector<int32_t> TokenizerCounter::encode(std::string_view text) const {
  return tokenizer_.encode(text);
}

std::string TokenizerCounter::decode(std::span<const int32_t> ids) const {
  return tokenizer_.decode(ids, engine::Tokenizer::DecodeSpecial::kKeep);
}

int64_t TokenizerCounter::count(std::string_view text) const {
  return static_cast<int64_t>(encode(text).size());
}

}  // namespace fathom::harness
