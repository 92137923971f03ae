#include "engine/char_classes.h"

#include <array>
#include <span>
#include <vector>

#include "base/utf8.h"
#include "engine/pre_tokenizer.h"
#include "engine/pre_tokenizer_patterns.h"
#include "engine/unicode_tables.h"

namespace fathom::engine {
namespace {

// Two levels: 256 code points a page; code points without any class share page 0.
class ClassTable {
 public:
  ClassTable() {
    constexpr CodePointRange kLineBreaks[] = {{'\n', '\n'}, {'\r', '\r'}};
    add(white_space_ranges(), kSpace);
    add(kLineBreaks, kLineBreak);
    add(letter_ranges(), kLetter);
    add(punctuation_ranges(), kPunctuation);
    add(cjk_ranges(), kCjk);
    add(number_ranges(), kNumber);
  }

  uint8_t operator[](char32_t code_point) const {
    return pages_[page_of_[code_point >> 8]][code_point & 0xFF];
  }

 private:
  void add(std::span<const CodePointRange> ranges, CharClass char_class) {
    for (const CodePointRange& range : ranges) {
      for (char32_t c = range.first; c <= range.last; ++c) {
        uint16_t& page = page_of_[c >> 8];
        if (page == 0) {
          page = static_cast<uint16_t>(pages_.size());
          pages_.emplace_back();
        }
        pages_[page][c & 0xFF] |= char_class;
      }
    }
  }

  std::array<uint16_t, 0x1100> page_of_{};
  std::vector<std::array<uint8_t, 256>> pages_ = std::vector<std::array<uint8_t, 256>>(1);
};

}  // namespace

void classify(std::string_view text, uint8_t* classes) {
  static const ClassTable table;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    const auto lead = static_cast<uint8_t>(*at);
    if (lead < 0x80) {
      *classes++ = table[lead];
      ++at;
      continue;
    }
    const uint8_t char_class = table[utf8_code_point(at)];
    const int length = utf8_length(lead);
    *classes++ = char_class;
    for (int i = 1; i < length; ++i) *classes++ = char_class | kContinuation;
    at += length;
  }
}

}  // namespace fathom::engine
