// Letter extraction: which choice a generated answer to a multiple-choice question names.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fathom::scorers {

/// lm-eval's `get_response` of mmlu_generative: the text before the first newline, stripped. "A. foo" stays
/// "A. foo" and is a wrong answer there.
std::string first_line(std::string_view text);

/// fathom's own reading, without that quirk: one of the first `n_choices` capital letters, found as
///   1. the letter after the last "answer is", "answer:" or "\boxed{" (case ignored) that a letter follows;
///   2. else the letter that begins the text and ends there or at a newline or punctuation ("A dog" is no
///   answer);
///   3. else the only letter that stands alone in parentheses, "(B)".
/// White space and "*", "(", "[", ":", "$", "\", "{" before the letter of 1 and 2 are skipped.
std::optional<std::string> extract_letter(std::string_view text, int n_choices);

}  // namespace fathom::scorers
