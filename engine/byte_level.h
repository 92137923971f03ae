// The byte alphabet of byte-level BPE: each of the 256 bytes has a printable character that stands for it in
// tokenizer.json (GPT-2's map: 33-126, 161-172 and 174-255 stand for themselves, the other 68 bytes follow in
// order from U+0100).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fathom::engine {

/// The character of a byte.
char32_t byte_level_character(uint8_t byte);

/// The bytes that a token text stands for; nothing when it holds a character outside the alphabet.
std::optional<std::string> byte_level_bytes(std::string_view token_text);

}  // namespace fathom::engine
