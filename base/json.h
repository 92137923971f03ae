// Strict JSON for files that come from elsewhere.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace fathom {

/// The value that `text` spells. Throws Error{kBadInput} naming `where` for text that is not one JSON value,
/// for an object with the same key twice (readers disagree about which one counts) and for nesting deeper
/// than 64.
nlohmann::json parse_json(std::string_view text, const std::string& where);

/// `text` as a JSON string literal of printable ASCII, cut after `limit` bytes: how names that come from a
/// file are shown in errors, so that a hostile one can neither drive the terminal nor fill it.
std::string json_quoted(std::string_view text, size_t limit = 160);

}  // namespace fathom
