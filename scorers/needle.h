// Needle: did the answer name what was hidden in the haystack? A keyword scorer, no judge model.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "scorers/score.h"

namespace fathom::scorers {

/// Whether `keyword` occurs in `text` as whole words: ASCII case and the width of white space do not matter,
/// and a letter or digit beside it does ("sunny day" is in "a Sunny\nday." but not in "unsunny days").
bool contains_keyword(std::string_view text, std::string_view keyword);

/// "needle_score" on the 1-10 scale of the needle tests: 1 + 9 * (keywords found / keywords). Where the
/// original asks a judge model for one of 1, 3, 5, 7 or 10, this is a function of the text alone: 10 says
/// that every keyword was named, 1 that none was. The answer is the keywords found, joined by ", ".
Score score_keywords(std::string_view text, std::span<const std::string> keywords);

}  // namespace fathom::scorers
