// PreTokenizer: cuts a text into the pieces that byte-level BPE merges within.
//
// A sequence of steps, each cutting every piece that the one before left (matches and gaps both stay pieces).
// The steps are those of the DeepSeek-V2 family, recognised by their exact content; anything else is refused.
// Immutable, thread-safe.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::engine {

/// Properties of a character that the steps ask about. A byte carries those of the character it belongs to.
enum CharClass : uint8_t {
  kSpace = 1,         ///< \s: White_Space
  kLineBreak = 2,     ///< CR, LF
  kLetter = 4,        ///< the letter step's class
  kPunctuation = 8,   ///< the punctuation step's class, which holds the ASCII letters too
  kCjk = 16,          ///< the CJK step's class: U+0800 to U+9FA5 and U+AC00 to U+D7FF
  kNumber = 32,       ///< Nd, Nl, No
  kContinuation = 64  ///< not the first byte of its character
};

class PreTokenizer {
 public:
  /// Reads the "pre_tokenizer" value of tokenizer.json. Throws Error{kBadInput} naming `where` and the step.
  static PreTokenizer parse(const nlohmann::json& spec, const std::string& where);

  /// Replaces `ends` by the end offsets of the pieces of `text`, which must be valid UTF-8: the pieces are
  /// contiguous, so that the first is [0, ends[0]), the next [ends[0], ends[1]). `classes` is scratch space.
  void split(std::string_view text, std::vector<uint8_t>& classes, std::vector<size_t>& ends) const;

  /// The first step makes every CR and LF a piece of its own, so that no piece, and no token, spans one.
  bool isolates_line_breaks() const;

 private:
  enum class Cut {
    kEach,           ///< every character of the class alone
    kRuns,           ///< [class]+
    kRunsWithSpace,  ///< \s?[class]+
    kTrailingSpace,  ///< \s+$
  };
  struct Step {
    Cut cut;
    CharClass char_class;
  };
  class Splitter;

  static Step parse_split(const nlohmann::json& spec, const std::string& where);
  static Step parse_digits(const nlohmann::json& spec, const std::string& where);

  std::vector<Step> steps_;
};

}  // namespace fathom::engine
