// Number extraction: which number an answer to a word problem gives, by several rules.
//
// Four of them reproduce references, quirks included; `fathom` is this project's own, without the quirks, and
// is stored beside them. Every rule is linear in the length of the text. The regexes of the references are
// fixed, so they are written out as matchers; tests/golden/scorers/numbers.json holds what Python's `re`
// makes of some thousand texts.
//
//   gsm8k          strict-match      #### (\-?[0-9\.\,]+)               first match
//                  flexible-extract  (-?[$0-9.,]{2,})|(-?[0-9]+)        last match
//   gsm8k_cot      strict-match      The answer is (\-?[0-9\.\,]+).     first match; the last "." is any
//   character
//                  flexible-extract  as above
//   gsm8k_deepseek deepseek          the number after the first "The answer is"
//   all            fathom            see extract_number()
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fathom::scorers {

/// Each returns what the first group of the reference's chosen match holds, or nothing without a match
/// (lm-eval writes "[invalid]" then).
std::optional<std::string> gsm8k_strict_match(std::string_view text);
std::optional<std::string> gsm8k_cot_strict_match(std::string_view text);
std::optional<std::string> gsm8k_flexible_extract(std::string_view text);

/// The DeepSeek-V2 report does not say how it reads the answer; this takes the number right after the first
/// "The answer is" (white space and one "$" between them allowed), and nothing when something else stands
/// there. Returned as written, without a full stop or comma that only ends the sentence.
std::optional<std::string> deepseek_answer(std::string_view text);

/// fathom's own reading, as a canonical decimal (see canonical_number()). The last marker that a number
/// follows wins: "####", "answer is", "answer:", "\boxed{" (case ignored; white space and "$", "*", "(", ":",
/// "\" between marker and number skipped). Without one, the last number of the text. A number is an optional
/// sign (also U+2212, and on either side of "$"), digits with commas between groups of three, and an optional
/// fraction; so "$18.00", "18." and "1,234" are 18, 18 and 1234. A "-" right after a digit or letter is no
/// sign, and digits that continue a word (H2) are no number.
std::optional<std::string> extract_number(std::string_view text);

/// "-1,234.50" -> "-1234.5", "18.00" -> "18", "007" -> "7", "-0" -> "0": equal numbers, equal text. Nothing
/// for text that is not one whole number ("18..", "1,2,3", "").
std::optional<std::string> canonical_number(std::string_view text);

}  // namespace fathom::scorers
