#include "base/json.h"

#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "base/error.h"

namespace fathom {
namespace {

constexpr int kMaxDepth = 64;

}  // namespace

nlohmann::json parse_json(std::string_view text, const std::string& where) {
  using nlohmann::json;
  std::vector<std::unordered_set<std::string>> open_objects;
  const json::parser_callback_t check = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > kMaxDepth) bad_input(where, "JSON nested deeper than {}", kMaxDepth);
    if (event == json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == json::parse_event_t::object_end) open_objects.pop_back();
    if (event == json::parse_event_t::key) {
      const std::string& key = value.get_ref<const std::string&>();
      if (!open_objects.back().insert(key).second)
        bad_input(where, "key \"{}\" appears twice in one object", key);
    }
    return true;
  };
  try {
    return json::parse(text, check);
  } catch (const json::exception& error) {
    bad_input(where, "not valid JSON ({})", error.what());
  }
}

std::string json_quoted(std::string_view text, size_t limit) {
  using nlohmann::json;
  const std::string shown = json(text.substr(0, limit)).dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() <= limit ? shown : shown + "...";
}

}  // namespace fathom
