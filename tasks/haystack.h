// Haystack: the long text that needles are hidden in, cut where sentences end.
//
// Lengths are counted in the model's own tokens. A prompt's exact length is known only once it is whole, so
// offsets here are estimates (sentences counted one by one) that needle.cc checks against the whole text.
// Immutable after building; safe from many threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "tasks/token_counter.h"

namespace fathom::tasks {

/// Where a text comes from. `sha256` covers `text` before it is repeated or cut; for the filler, its first
/// MiB.
struct HaystackSource {
  std::string name;  ///< "filler-1", or "folder"
  Sha256Digest sha256{};
  std::string text;  ///< a folder's files; empty for the filler
};

/// fathom's own filler text.
HaystackSource filler_source();

/// All .txt files of a folder in the order of their names, with a line break between two. Throws
/// Error{kBadInput} when there are none, or one is not UTF-8.
HaystackSource folder_source(const std::filesystem::path& folder);

class Haystack {
 public:
  /// At least `n_tokens` tokens of `source`, repeated as often as that takes.
  Haystack(const HaystackSource& source, int64_t n_tokens, const TokenCounter& tokens);

  /// The first `n` sentences.
  std::string_view first_sentences(int64_t n) const;
  int64_t n_sentences() const { return static_cast<int64_t>(ends_.size()) - 1; }
  /// Byte offset and estimated token offset of the end of sentence n (0: the beginning of the text).
  int64_t end_byte(int64_t n) const { return ends_[n].byte; }
  int64_t end_token(int64_t n) const { return ends_[n].token; }
  /// The largest n with end_token(n) <= n_tokens.
  int64_t sentences_within(int64_t n_tokens) const;

 private:
  struct End {
    int64_t byte = 0;
    int64_t token = 0;
  };
  std::string text_;
  std::vector<End> ends_ = {End{}};
};

/// Offsets just behind each sentence of `text`: after ".", "!" or "?" and any closing quotes or brackets,
/// where white space or the end of the text follows. The end of the text always is one.
std::vector<int64_t> sentence_ends(std::string_view text);

}  // namespace fathom::tasks
