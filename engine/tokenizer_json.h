// The contents of tokenizer.json, read and checked.
//
// Whatever in the file changes ids or text and is not understood is refused with its key; the vocabulary and
// the merges (nearly all of the file) are read in one pass without a tree.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/added_tokens.h"
#include "engine/bpe.h"
#include "engine/pre_tokenizer.h"
#include "engine/token.h"

namespace fathom::engine {

struct TokenizerJson {
  std::vector<std::string> vocabulary;  ///< token texts in the byte alphabet, by id
  std::vector<Merge> merges;
  bool ignore_merges = false;            ///< a piece that is a token is that token, whatever the merges say
  std::vector<AddedToken> added_tokens;  ///< ids continue the vocabulary's or are among them
  PreTokenizer pre_tokenizer;
  std::optional<TokenId> template_bos;  ///< what a TemplateProcessing post-processor puts in front
};

/// Parses the text of tokenizer.json. Throws Error{kBadInput} naming `where`, the key, expected and found.
TokenizerJson parse_tokenizer_json(std::string_view text, const std::string& where);

}  // namespace fathom::engine
