// Character properties of the pre-tokenizer, in the Unicode version of Hugging Face `tokenizers` 0.23.3.
//
// The definitions are generated (tools/tokenizer/make_unicode_tables.py). Immutable, thread-safe.
#pragma once

#include <span>
#include <string_view>

namespace fathom::engine {

/// Inclusive.
struct CodePointRange {
  char32_t first;
  char32_t last;
};

std::string_view unicode_version();

/// Property White_Space: what \s matches.
std::span<const CodePointRange> white_space_ranges();

/// General category Nd, Nl or No: what the Digits step isolates.
std::span<const CodePointRange> number_ranges();

}  // namespace fathom::engine
