// The contents of tokenizer_config.json that matter for ids and text.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/added_tokens.h"

namespace fathom::engine {

struct TokenizerConfig {
  /// Whether raw prompts begin with BOS; absent when the file leaves it to the post-processor of
  /// tokenizer.json.
  std::optional<bool> add_bos_token;
  std::optional<std::string> bos_token;
  std::optional<std::string> eos_token;
  std::optional<std::string> chat_template;
};

/// Parses the text of tokenizer_config.json and checks it against the added tokens of tokenizer.json: a token
/// that transformers would add or change on loading is refused. Throws Error{kBadInput}.
TokenizerConfig parse_tokenizer_config(std::string_view text, const std::vector<AddedToken>& added_tokens,
                                       const std::string& where);

}  // namespace fathom::engine
