#include "engine/byte_level.h"

#include <array>

#include "base/utf8.h"

namespace fathom::engine {
namespace {

constexpr int kAlphabetEnd = 0x100 + 68;

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<int16_t, kAlphabetEnd> byte{};  // by character; -1: no byte
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  alphabet.byte.fill(-1);
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const char32_t character = printable ? static_cast<char32_t>(byte) : next++;
    alphabet.character[static_cast<size_t>(byte)] = character;
    alphabet.byte[character] = static_cast<int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

char32_t byte_level_character(uint8_t byte) {
  return kAlphabet.character[byte];
}

std::optional<std::string> byte_level_bytes(std::string_view token_text) {
  std::string bytes;
  bytes.reserve(token_text.size());
  for (size_t i = 0; i < token_text.size();
       i += static_cast<size_t>(utf8_length(static_cast<uint8_t>(token_text[i])))) {
    const char32_t character = utf8_code_point(token_text.data() + i);
    if (character >= kAlphabetEnd || kAlphabet.byte[character] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kAlphabet.byte[character]));
  }
  return bytes;
}

}  // namespace fathom::engine
