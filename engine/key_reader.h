// KeyReader: one JSON object whose every key must be asked for. The first part of each error is the file and
// the key.
#pragma once

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace fathom::engine {

class KeyReader {
 public:
  KeyReader(const nlohmann::json& object, std::string where, std::string prefix = "")
      : object_(object), where_(std::move(where)), prefix_(std::move(prefix)) {}

  [[noreturn]] void refuse(std::string_view key, const std::string& expected) {
    const nlohmann::json* value = find(key);
    bad_input(where_, "key \"{}{}\": expected {}, found {}", prefix_, key, expected,
              value == nullptr ? std::string("no such key") : value->dump(-1, ' ', true).substr(0, 120));
  }

  /// The value, or null when the key is missing; either way the key counts as known.
  const nlohmann::json* find(std::string_view key) {
    if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
    const auto it = object_.find(key);
    return it == object_.end() ? nullptr : &*it;
  }

  /// Missing or null.
  bool absent(std::string_view key) {
    const nlohmann::json* value = find(key);
    return value == nullptr || value->is_null();
  }

  /// A JSON number that is a whole number of [low, high]; 8.0 counts as 8.
  int64_t integer(std::string_view key, int64_t low, int64_t high) {
    const nlohmann::json* value = find(key);
    const std::string expected = fmt::format("an integer of {}..{}", low, high);
    if (value == nullptr || !value->is_number()) refuse(key, expected);
    const double number = value->get<double>();
    if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) ||
        number != std::floor(number)) {
      refuse(key, expected);
    }
    return static_cast<int64_t>(number);
  }
  int64_t integer_or(std::string_view key, int64_t low, int64_t high, int64_t missing) {
    return absent(key) ? missing : integer(key, low, high);
  }

  /// A finite JSON number, written as an integer or not.
  double number(std::string_view key) {
    const nlohmann::json* value = find(key);
    if (value == nullptr || !value->is_number() || !std::isfinite(value->get<double>()))
      refuse(key, "a number");
    return value->get<double>();
  }
  std::optional<double> optional_number(std::string_view key) {
    if (absent(key)) return std::nullopt;
    return number(key);
  }

  bool boolean_or(std::string_view key, bool missing) {
    if (absent(key)) return missing;
    const nlohmann::json* value = find(key);
    if (!value->is_boolean()) refuse(key, "true or false");
    return value->get<bool>();
  }

  std::string text_or(std::string_view key, std::string missing) {
    if (absent(key)) return missing;
    const nlohmann::json* value = find(key);
    if (!value->is_string()) refuse(key, "a string");
    return value->get<std::string>();
  }

  /// A key that may be spelled out only with the value that means "nothing special".
  void require_neutral(std::string_view key, const nlohmann::json& neutral, std::string_view why) {
    if (!absent(key) && *find(key) != neutral) refuse(key, fmt::format("{} ({})", neutral.dump(), why));
  }

  /// Refuses every key that was neither read nor is in `harmless`.
  void require_all_known(std::span<const std::string_view> harmless) {
    for (const auto& [key, value] : object_.items()) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      if (std::find(harmless.begin(), harmless.end(), key) != harmless.end()) continue;
      bad_input(where_,
                "unknown key \"{}{}\" (value {}): it may change the mathematics, so it is refused; expected "
                "only keys "
                "of DeepSeek-V2 (remove it if the model's code does not read it)",
                prefix_, key, value.dump(-1, ' ', true).substr(0, 120));
    }
  }

  const std::string& where() const { return where_; }

 private:
  const nlohmann::json& object_;
  std::string where_;
  std::string prefix_;
  std::vector<std::string_view> known_;
};

}  // namespace fathom::engine
