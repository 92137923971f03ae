// Typed reading of the JSON Lines that commands take: every error names file, line, key, expected and found.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/token.h"

namespace fathom::harness {

/// The field `key`; Error{kBadInput} when it is missing.
const nlohmann::json& required_field(const nlohmann::json& object, const char* key, const std::string& where);

/// An array of integers that fit a TokenId.
std::vector<engine::TokenId> token_ids_field(const nlohmann::json& object, const char* key,
                                             const std::string& where);

// The value of an optional field, or `otherwise`.
int64_t integer_field(const nlohmann::json& object, const char* key, int64_t otherwise,
                      const std::string& where);
uint64_t unsigned_field(const nlohmann::json& object, const char* key, uint64_t otherwise,
                        const std::string& where);
double number_field(const nlohmann::json& object, const char* key, double otherwise,
                    const std::string& where);
bool bool_field(const nlohmann::json& object, const char* key, bool otherwise, const std::string& where);
std::optional<std::string> string_field(const nlohmann::json& object, const char* key,
                                        const std::string& where);
std::vector<std::string> strings_field(const nlohmann::json& object, const char* key,
                                       const std::string& where);

}  // namespace fathom::harness
