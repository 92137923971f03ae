// Checks of parsed JSON files: each throws Error{kBadInput} naming the place, the key, expected and found.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace fathom::engine {

/// `value` as one line of ASCII JSON, cut to 120 bytes, for error messages.
std::string shown(const nlohmann::json& value);

/// The member `key` of an object; an error when `object` is none or has no such key.
const nlohmann::json& require_key(const nlohmann::json& object, const char* key, const std::string& where);

/// The member `key`, which must be a string.
const std::string& require_string(const nlohmann::json& object, const char* key, const std::string& where);

/// The member `key`, which must be true or false.
bool require_bool(const nlohmann::json& object, const char* key, const std::string& where);

/// The member `key` must equal `expected`: its other values change the result and are not supported.
void require_value(const nlohmann::json& object, const char* key, const nlohmann::json& expected,
                   const std::string& where);

}  // namespace fathom::engine
