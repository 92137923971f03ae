// The patterns of the DeepSeek-V2 family's pre-tokenizer: the characters of each class, and the regular
// expression that tokenizer.json spells them with. Each list serves both, so that what is recognised and what
// is matched cannot differ. Immutable, thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "engine/unicode_tables.h"

namespace fathom::engine {

inline constexpr std::string_view kLineBreakPattern = "[\r\n]";     // the characters, not escapes
inline constexpr std::string_view kTrailingSpacePattern = "\\s+$";  // Oniguruma: $ also before each LF

std::span<const CodePointRange> letter_ranges();
std::span<const CodePointRange> punctuation_ranges();
std::span<const CodePointRange> cjk_ranges();

const std::string& letter_pattern();       // \s?[letters]+
const std::string& punctuation_pattern();  // \s?[punctuation]+
const std::string& cjk_pattern();          // [CJK]+

}  // namespace fathom::engine
