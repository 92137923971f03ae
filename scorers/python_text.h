// The string operations of Python and NumPy that the reference filters rely on, over UTF-8. (White space as
// str.strip() knows it is base/white_space.h.)
//
// A choice's length is its number of code points, and NumPy drops trailing NULs from every string it stores.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fathom::scorers {

/// len(text): the number of code points.
int64_t character_count(std::string_view text);

/// Lower case of A-Z only. Equals Python's lower() in every comparison with an ASCII text that has neither i
/// nor k: only U+0130 and U+212A have ASCII letters in their lower case.
std::string ascii_lower(std::string_view text);

/// `text` without the NULs at its end: what NumPy gives back after storing it.
std::string_view without_trailing_nuls(std::string_view text);

bool is_ascii_digit(char c);
bool is_ascii_letter(char c);

}  // namespace fathom::scorers
