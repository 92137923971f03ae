// UTF-8: decoding, checking and repairing text.
//
// Repair follows the rule of the Unicode standard (section 3.9, "maximal subparts") that browsers, Python and
// Rust share: each longest prefix of a well-formed sequence that cannot be completed becomes one U+FFFD.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fathom {

/// U+FFFD REPLACEMENT CHARACTER.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// Bytes of the character that starts with `lead`, which must be the first byte of a well-formed sequence.
constexpr int utf8_length(unsigned char lead) {
  return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/// The character at `at`, where a well-formed sequence must start.
constexpr char32_t utf8_code_point(const char* at) {
  auto byte = [at](int i) { return static_cast<char32_t>(static_cast<unsigned char>(at[i])); };
  auto tail = [byte](int i) { return byte(i) & 0x3F; };
  if (byte(0) < 0x80) return byte(0);
  if (byte(0) < 0xE0) return (byte(0) & 0x1F) << 6 | tail(1);
  if (byte(0) < 0xF0) return (byte(0) & 0x0F) << 12 | tail(1) << 6 | tail(2);
  return (byte(0) & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3);
}

/// Appends a Unicode scalar value (no surrogate, at most U+10FFFF).
void append_utf8(std::string& text, char32_t code_point);

/// Length of the longest well-formed prefix, in bytes.
size_t valid_utf8_prefix(std::string_view text);

/// Appends `text` with every ill-formed sequence replaced by U+FFFD; returns how many bytes were replaced.
int64_t append_valid_utf8(std::string& out, std::string_view text);

/// `text` with every byte that belongs to no character written as \xNN (Python's backslashreplace): for
/// output of programs, which may be anything and must stay distinguishable.
std::string backslash_invalid_utf8(std::string_view text);

/// Number of bytes (0 to 3) at the end of `text` that start a character which more bytes could complete.
size_t incomplete_utf8_suffix(std::string_view text);

}  // namespace fathom
