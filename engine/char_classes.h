// Which CharClass bits each byte of a text has. Immutable, thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

namespace fathom::engine {

/// Writes the CharClass bits of every byte of `text` (valid UTF-8) to classes[0 .. text.size()).
void classify(std::string_view text, uint8_t* classes);

}  // namespace fathom::engine
