// Base64 (RFC 4648, section 4): bytes inside JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fathom {

/// The bytes that `text` stands for; nothing unless it is canonical: the standard alphabet, padded, no line
/// breaks, no bits after the last byte.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace fathom
