#include "base/white_space.h"

#include <algorithm>
#include <iterator>

namespace fathom {
namespace {

// All characters with str.isspace() in Python 3.11 (Unicode 14), as UTF-8.
constexpr std::string_view kWhiteSpace[] = {
    "\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",   "\x1d",   "\x1e",   "\x1f",   " ",
    "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
    "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

}  // namespace

size_t leading_white_space_bytes(std::string_view text) {
  std::string_view rest = text;
  while (true) {
    const auto* const space = std::find_if(std::begin(kWhiteSpace), std::end(kWhiteSpace),
                                           [rest](std::string_view s) { return rest.starts_with(s); });
    if (space == std::end(kWhiteSpace)) return text.size() - rest.size();
    rest.remove_prefix(space->size());
  }
}

size_t trailing_white_space_bytes(std::string_view text) {
  std::string_view rest = text;
  while (true) {
    const auto* const space = std::find_if(std::begin(kWhiteSpace), std::end(kWhiteSpace),
                                           [rest](std::string_view s) { return rest.ends_with(s); });
    if (space == std::end(kWhiteSpace)) return text.size() - rest.size();
    rest.remove_suffix(space->size());
  }
}

std::string_view strip_white_space(std::string_view text) {
  text.remove_prefix(leading_white_space_bytes(text));
  text.remove_suffix(trailing_white_space_bytes(text));
  return text;
}

}  // namespace fathom
