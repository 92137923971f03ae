// White space as Python's str.strip() knows it, over UTF-8: prompts of the references are built with it.
#pragma once

#include <cstddef>
#include <string_view>

namespace fathom {

/// Bytes of white space at the beginning or end of `text`. Bytes that are not UTF-8 are never white space.
size_t leading_white_space_bytes(std::string_view text);
size_t trailing_white_space_bytes(std::string_view text);

/// `text` without white space at both ends.
std::string_view strip_white_space(std::string_view text);

}  // namespace fathom
