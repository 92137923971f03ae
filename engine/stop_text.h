// StopText: the text of a generation so far, cut before the first stop string.
#pragma once

#include <string>
#include <vector>

#include "engine/tokenizer.h"

namespace fathom::engine {

class StopText {
 public:
  /// Borrows both. Without a tokenizer the text stays empty.
  StopText(const Tokenizer* tokenizer, const std::vector<std::string>& stop)
      : tokenizer_(tokenizer), stop_(stop) {}

  void add(TokenId id) { ids_.push_back(id); }
  /// Whether the text of all ids holds a stop string. A character whose bytes are not all there yet is U+FFFD
  /// for the time being; the next id's look completes it.
  bool found() const;
  /// Special tokens left out; cut before the first occurrence of any stop string.
  std::string text() const;

 private:
  const Tokenizer* tokenizer_;
  const std::vector<std::string>& stop_;
  std::vector<TokenId> ids_;
};

}  // namespace fathom::engine
