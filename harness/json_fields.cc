#include "harness/json_fields.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace fathom::harness {
namespace {

using nlohmann::json;

[[noreturn]] void wrong_type(const json& value, const char* key, const char* expected,
                             const std::string& where) {
  bad_input(where, "\"{}\": expected {}, found {}", key, expected, value.dump().substr(0, 80));
}

// The field when it is there and not null.
const json* find(const json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

}  // namespace

const json& required_field(const json& object, const char* key, const std::string& where) {
  const auto it = object.find(key);
  if (it == object.end()) bad_input(where, "\"{}\" is missing", key);
  return *it;
}

std::vector<engine::TokenId> token_ids_field(const json& object, const char* key, const std::string& where) {
  const json& value = required_field(object, key, where);
  if (!value.is_array()) wrong_type(value, key, "an array of token ids", where);
  std::vector<engine::TokenId> ids;
  ids.reserve(value.size());
  for (const json& id : value) {
    if (!id.is_number_integer() || id < 0 || id > std::numeric_limits<engine::TokenId>::max()) {
      wrong_type(id, key, "token ids", where);
    }
    ids.push_back(id.get<engine::TokenId>());
  }
  return ids;
}

int64_t integer_field(const json& object, const char* key, int64_t otherwise, const std::string& where) {
  const json* value = find(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_number_integer() || (value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX)) {
    wrong_type(*value, key, "an integer", where);
  }
  return value->get<int64_t>();
}

uint64_t unsigned_field(const json& object, const char* key, uint64_t otherwise, const std::string& where) {
  const json* value = find(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_number_unsigned()) wrong_type(*value, key, "an integer of at least 0", where);
  return value->get<uint64_t>();
}

double number_field(const json& object, const char* key, double otherwise, const std::string& where) {
  const json* value = find(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_number()) wrong_type(*value, key, "a number", where);
  return value->get<double>();
}

bool bool_field(const json& object, const char* key, bool otherwise, const std::string& where) {
  const json* value = find(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) wrong_type(*value, key, "true or false", where);
  return value->get<bool>();
}

std::optional<std::string> string_field(const json& object, const char* key, const std::string& where) {
  const json* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) wrong_type(*value, key, "a string", where);
  return value->get<std::string>();
}

std::vector<std::string> strings_field(const json& object, const char* key, const std::string& where) {
  const json* value = find(object, key);
  if (value == nullptr) return {};
  if (!value->is_array()) wrong_type(*value, key, "an array of strings", where);
  std::vector<std::string> strings;
  for (const json& entry : *value) {
    if (!entry.is_string()) wrong_type(entry, key, "strings", where);
    strings.push_back(entry.get<std::string>());
  }
  return strings;
}

}  // namespace fathom::harness
