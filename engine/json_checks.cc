#include "engine/json_checks.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace fathom::engine {

using nlohmann::json;

std::string shown(const json& value) {
  constexpr size_t kLength = 120;
  const std::string text = value.dump(-1, ' ', true);
  return text.size() <= kLength ? text : text.substr(0, kLength) + "...";
}

const json& require_key(const json& object, const char* key, const std::string& where) {
  if (!object.is_object()) bad_input(where, "expected an object, found {}", object.type_name());
  const auto found = object.find(key);
  if (found == object.end()) bad_input(where, "the key \"{}\" is missing", key);
  return *found;
}

const std::string& require_string(const json& object, const char* key, const std::string& where) {
  const json& value = require_key(object, key, where);
  if (!value.is_string()) bad_input(where, "{} is {}; expected a string", key, shown(value));
  return value.get_ref<const std::string&>();
}

bool require_bool(const json& object, const char* key, const std::string& where) {
  const json& value = require_key(object, key, where);
  if (!value.is_boolean()) bad_input(where, "{} is {}; expected true or false", key, shown(value));
  return value.get<bool>();
}

void require_value(const json& object, const char* key, const json& expected, const std::string& where) {
  const json& value = require_key(object, key, where);
  if (value != expected) {
    bad_input(where, "{} is {}; only {} is supported", key, shown(value), expected.dump());
  }
}

}  // namespace fathom::engine
