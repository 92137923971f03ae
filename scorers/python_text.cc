#include "scorers/python_text.h"

#include <algorithm>

namespace fathom::scorers {
namespace {

bool is_continuation_byte(char c) {
  return (static_cast<uint8_t>(c) & 0xC0) == 0x80;
}

// str.isspace() of the code point that `bytes` (one whole character) encodes.
bool is_space(std::string_view bytes) {
  if (bytes.size() == 1) {
    const auto c = static_cast<uint8_t>(bytes[0]);
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20);
  }
  static constexpr std::string_view kSpaces[] = {
      "\u0085", "\u00A0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
      "\u2007", "\u2008", "\u2009", "\u200A", "\u2028", "\u2029", "\u202F", "\u205F", "\u3000"};
  return std::find(std::begin(kSpaces), std::end(kSpaces), bytes) != std::end(kSpaces);
}

size_t first_character_bytes(std::string_view text) {
  size_t n = 1;
  while (n < text.size() && is_continuation_byte(text[n])) ++n;
  return n;
}

size_t last_character_bytes(std::string_view text) {
  size_t n = 1;
  while (n < text.size() && is_continuation_byte(text[text.size() - n])) ++n;
  return n;
}

}  // namespace

int64_t character_count(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation_byte(c); });
}

std::string_view strip(std::string_view text) {
  while (!text.empty()) {
    const size_t n = first_character_bytes(text);
    if (!is_space(text.substr(0, n))) break;
    text.remove_prefix(n);
  }
  while (!text.empty()) {
    const size_t n = last_character_bytes(text);
    if (!is_space(text.substr(text.size() - n))) break;
    text.remove_suffix(n);
  }
  return text;
}

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view without_trailing_nuls(std::string_view text) {
  while (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  return text;
}

bool is_ascii_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_ascii_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace fathom::scorers
