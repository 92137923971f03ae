// AddedTokens: tokens that are found in the raw text before any pre-tokenizer sees it.
//
// As in Hugging Face `tokenizers`: those with normalized=false are searched for first, the others in what is
// left between them; at each place the longest counts, and a match is never looked into again. (The family's
// normalizer is empty: "normalized" only decides this order.) Immutable, thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/token.h"

namespace fathom::engine {

struct AddedToken {
  TokenId id;
  std::string content;
  bool special;
  bool normalized;
};

/// A stretch of a text: an added token, or ordinary text when `id` is negative.
struct TextSegment {
  size_t begin;
  size_t end;
  TokenId id = -1;
};

/// Which special tokens may match: only those that lie inside one of these stretches with `parse` set. The
/// stretches cover the text in order.
struct SpecialRegion {
  size_t end;
  bool parse;
};

class AddedTokens {
 public:
  explicit AddedTokens(const std::vector<AddedToken>& tokens);

  /// Replaces `segments` by those of `text`, in order and without gaps; none is empty.
  void split(std::string_view text, const std::vector<SpecialRegion>& regions,
             std::vector<TextSegment>& segments) const;

 private:
  // The tokens of one search, sorted by content, and where those with each first byte begin.
  struct Group {
    std::vector<AddedToken> tokens;
    size_t first_with[257];
    const AddedToken* longest_at(std::string_view text) const;
    void find(std::string_view text, size_t begin, size_t end, const std::vector<SpecialRegion>& regions,
              std::vector<TextSegment>& segments) const;
  };
  static Group make_group(std::vector<AddedToken> tokens);

  Group raw_;         // normalized=false
  Group normalized_;  // normalized=true
};

}  // namespace fathom::engine
