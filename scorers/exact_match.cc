#include "scorers/exact_match.h"

#include <cstring>

#include "base/error.h"
#include "scorers/python_text.h"

namespace fathom::scorers {
namespace {

void remove_trailing_full_stop(std::string& text) {
  // Python's $ matches at the end of the text and before a newline that ends it.
  if (text.ends_with('.')) {
    text.pop_back();
  } else if (text.ends_with(".\n")) {
    text.erase(text.size() - 2, 1);
  }
}

void remove_ignored(std::string& text, Ignore what) {
  switch (what) {
    case Ignore::kCommas:
      std::erase(text, ',');
      return;
    case Ignore::kDollars:
      std::erase(text, '$');
      return;
    case Ignore::kBeforeHashes: {
      static constexpr std::string_view kHashes = "#### ";
      const size_t last = text.rfind(kHashes);
      if (last != std::string::npos) text.erase(0, last + kHashes.size());
      return;
    }
    case Ignore::kTrailingFullStop:
      remove_trailing_full_stop(text);
      return;
  }
  FATHOM_CHECK(false, "ignore {}", static_cast<int>(what));
}

bool is_punctuation(char c) {
  return c != '\0' && std::strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", c);
}

// A string stored in a NumPy array loses the NULs at its end.
void store_in_numpy(std::string& text) {
  text.resize(without_trailing_nuls(text).size());
}

}  // namespace

const ExactMatchOptions& gsm8k_match_options() {
  static const ExactMatchOptions kOptions{
      .ignore = {Ignore::kCommas, Ignore::kDollars, Ignore::kBeforeHashes, Ignore::kTrailingFullStop},
      .ignore_case = true};
  return kOptions;
}

const ExactMatchOptions& letter_match_options() {
  static const ExactMatchOptions kOptions{.ignore = {}, .ignore_case = true, .ignore_punctuation = true};
  return kOptions;
}

std::string normalise_for_match(std::string_view text, const ExactMatchOptions& options) {
  std::string result(text);
  for (Ignore what : options.ignore) {
    remove_ignored(result, what);
    store_in_numpy(result);
  }
  store_in_numpy(result);
  if (options.ignore_case) result = ascii_lower(result);
  if (options.ignore_punctuation) {
    std::erase_if(result, is_punctuation);
    store_in_numpy(result);
  }
  return result;
}

bool exact_match(std::string_view prediction, std::string_view gold, const ExactMatchOptions& options) {
  return normalise_for_match(prediction, options) == normalise_for_match(gold, options);
}

}  // namespace fathom::scorers
