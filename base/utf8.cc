#include "base/utf8.h"

#include <cstring>

#include "base/error.h"

namespace fathom {
namespace {

enum class Form { kComplete, kIncomplete, kIllFormed };

struct Sequence {
  size_t length;  // bytes of the character, or of the maximal subpart that stands for it
  Form form;      // kIncomplete: the text ends before the character does
};

// The sequence at the start of `text`, which must not be empty. The second byte's range depends on the first
// (Unicode standard, table 3-7): it excludes overlong forms, surrogates and values above U+10FFFF.
Sequence first_sequence(std::string_view text) {
  auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, Form::kComplete};
  if (lead < 0xC2 || lead > 0xF4) return {1, Form::kIllFormed};
  const size_t length = static_cast<size_t>(utf8_length(lead));
  unsigned char low = 0x80, high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  for (size_t i = 1; i < length; ++i, low = 0x80, high = 0xBF) {
    if (i == text.size()) return {i, Form::kIncomplete};
    if (byte(i) < low || byte(i) > high) return {i, Form::kIllFormed};
  }
  return {length, Form::kComplete};
}

// Bytes before the first one outside ASCII, eight at a time.
size_t ascii_prefix(std::string_view text) {
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if ((word & 0x8080808080808080u) != 0) break;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
  return i;
}

}  // namespace

void append_utf8(std::string& text, char32_t code_point) {
  FATHOM_CHECK(code_point < 0x110000 && (code_point < 0xD800 || code_point > 0xDFFF), "U+{:04X}",
               static_cast<uint32_t>(code_point));
  auto append = [&text](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  auto append_tail = [&](int shift) { append(0x80 | (code_point >> shift & 0x3F)); };
  if (code_point < 0x80) {
    append(code_point);
  } else if (code_point < 0x800) {
    append(0xC0 | code_point >> 6);
    append_tail(0);
  } else if (code_point < 0x10000) {
    append(0xE0 | code_point >> 12);
    append_tail(6);
    append_tail(0);
  } else {
    append(0xF0 | code_point >> 18);
    append_tail(12);
    append_tail(6);
    append_tail(0);
  }
}

size_t valid_utf8_prefix(std::string_view text) {
  size_t i = 0;
  while (true) {
    i += ascii_prefix(text.substr(i));
    if (i == text.size()) return i;
    const Sequence sequence = first_sequence(text.substr(i));
    if (sequence.form != Form::kComplete) return i;
    i += sequence.length;
  }
}

int64_t append_valid_utf8(std::string& out, std::string_view text) {
  int64_t n_replaced = 0;
  while (true) {
    const size_t n_valid = valid_utf8_prefix(text);
    out.append(text.substr(0, n_valid));
    text.remove_prefix(n_valid);
    if (text.empty()) return n_replaced;
    const Sequence sequence = first_sequence(text);
    out.append(kReplacementCharacter);
    n_replaced += static_cast<int64_t>(sequence.length);
    text.remove_prefix(sequence.length);
  }
}

std::string backslash_invalid_utf8(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  while (!text.empty()) {
    const size_t valid = valid_utf8_prefix(text);
    out += text.substr(0, valid);
    text.remove_prefix(valid);
    if (text.empty()) break;
    const auto byte = static_cast<unsigned char>(text.front());
    out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    text.remove_prefix(1);
  }
  return out;
}

size_t incomplete_utf8_suffix(std::string_view text) {
  for (size_t length = 1; length <= 3 && length <= text.size(); ++length) {
    const std::string_view suffix = text.substr(text.size() - length);
    const unsigned char lead = static_cast<unsigned char>(suffix[0]);
    if (lead < 0x80) return 0;
    if (lead < 0xC0) continue;  // a continuation byte: its lead byte is further left
    return first_sequence(suffix).form == Form::kIncomplete ? length : 0;
  }
  return 0;
}

}  // namespace fathom
