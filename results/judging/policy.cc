#include "results/judging/policy.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "results/judging/paired_runs.h"

namespace fathom::results {
namespace {

using nlohmann::json;

// An object whose keys are read one by one; what is left over is unknown.
class StrictObject {
 public:
  StrictObject(const json& object, std::string where, std::vector<std::string> keys)
      : object_(object), where_(std::move(where)) {
    if (!object.is_object())
      bad_input(where_, "expected a JSON object, found {}", object.dump().substr(0, 80));
    for (const auto& [key, value] : object.items()) {
      if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
      bad_input(where_, "unknown key {}; known are {}", json_quoted(key), fmt::join(keys, ", "));
    }
  }

  // A number in [low, high]; nothing when the key is absent or null.
  std::optional<double> number(const char* key, double low, double high) const {
    const json* value = find(key);
    if (value == nullptr) return std::nullopt;
    const bool good = value->is_number() && value->get<double>() >= low && value->get<double>() <= high;
    if (!good)
      bad_input(where_, "\"{}\": expected a number from {} to {}, found {}", key, low, high, shown(*value));
    return value->get<double>();
  }

  void read(const char* key, double low, double high, double& into) const {
    into = number(key, low, high).value_or(into);
  }

  std::optional<std::string> text(const char* key) const {
    const json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string() || value->get_ref<const std::string&>().empty()) {
      bad_input(where_, "\"{}\": expected a text, found {}", key, shown(*value));
    }
    return value->get<std::string>();
  }

  std::string required_text(const char* key) const {
    const std::optional<std::string> value = text(key);
    if (!value) bad_input(where_, "\"{}\" is missing", key);
    return *value;
  }

  const json* list(const char* key) const {
    const json* value = find(key);
    if (value != nullptr && !value->is_array()) {
      bad_input(where_, "\"{}\": expected a list or null, found {}", key, shown(*value));
    }
    return value;
  }

  const std::string& where() const { return where_; }

 private:
  const json* find(const char* key) const {
    const auto at = object_.find(key);
    return at == object_.end() || at->is_null() ? nullptr : &*at;
  }
  static std::string shown(const json& value) { return value.dump().substr(0, 80); }

  const json& object_;
  std::string where_;
};

constexpr double kLargestMargin = 1e6;

PrimaryRule parse_primary(const json& entry, const std::string& where) {
  const StrictObject object(entry, where, {"scope", "metric", "filter", "margin", "floor"});
  PrimaryRule rule{.scope = object.required_text("scope"), .metric = object.required_text("metric")};
  if (!rule.scope.starts_with("group:") && !rule.scope.starts_with("task:")) {
    bad_input(where, "\"scope\": expected \"group:NAME\" or \"task:NAME\", found {}",
              json_quoted(rule.scope));
  }
  rule.filter = object.text("filter").value_or("none");
  rule.margin = object.number("margin", 0.0, kLargestMargin);
  rule.floor = object.number("floor", 0.0, kLargestMargin);
  if (rule.metric == kGoldLogprob && !rule.margin) {
    bad_input(where, "\"margin\" is missing: {} has no range that the general margin could be a share of",
              kGoldLogprob);
  }
  return rule;
}

FamilyRule parse_family(const json& entry, const std::string& where) {
  const StrictObject object(entry, where, {"group", "margin"});
  return {.group = object.required_text("group"), .margin = object.number("margin", 0.0, kLargestMargin)};
}

template <typename Rule>
std::optional<std::vector<Rule>> parse_list(const StrictObject& object, const char* key,
                                            Rule (*parse)(const json&, const std::string&)) {
  const json* list = object.list(key);
  if (list == nullptr) return std::nullopt;
  std::vector<Rule> rules;
  for (const json& entry : *list) {
    rules.push_back(parse(entry, fmt::format("{}: {}[{}]", object.where(), key, rules.size())));
  }
  return rules;
}

template <typename T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json primary_json(const PrimaryRule& rule) {
  return {{"scope", rule.scope},
          {"metric", rule.metric},
          {"filter", rule.filter},
          {"margin", or_null(rule.margin)},
          {"floor", or_null(rule.floor)}};
}

json family_json(const FamilyRule& rule) {
  return {{"group", rule.group}, {"margin", or_null(rule.margin)}};
}

template <typename Rule>
json list_json(const std::optional<std::vector<Rule>>& rules, json (*to_json)(const Rule&)) {
  if (!rules) return nullptr;
  json list = json::array();
  for (const Rule& rule : *rules) list.push_back(to_json(rule));
  return list;
}

}  // namespace

Policy parse_policy(const std::string& text, const std::string& where) {
  const json content = parse_json(text, where);
  const StrictObject object(content, where,
                            {"alpha", "margin", "floor", "family_margin", "min_paired", "max_unscored",
                             "max_cut_rise", "max_slowdown", "primary", "families"});
  Policy policy;
  object.read("alpha", 1e-6, 0.5, policy.alpha);
  object.read("margin", 0.0, 1.0, policy.margin);
  object.read("floor", 0.0, 1.0, policy.floor);
  object.read("family_margin", 0.0, 1.0, policy.family_margin);
  object.read("min_paired", 0.0, 1.0, policy.min_paired);
  object.read("max_unscored", 0.0, 1.0, policy.max_unscored);
  object.read("max_cut_rise", 0.0, 1.0, policy.max_cut_rise);
  policy.max_slowdown = object.number("max_slowdown", 0.0, 1.0);
  policy.primary = parse_list(object, "primary", &parse_primary);
  policy.families = parse_list(object, "families", &parse_family);
  if (policy.primary && policy.primary->empty() && policy.families && policy.families->empty()) {
    bad_input(where, "\"primary\" and \"families\" are both empty: nothing would be judged");
  }
  return policy;
}

std::string canonical_policy(const Policy& policy) {
  return json{{"alpha", policy.alpha},
              {"margin", policy.margin},
              {"floor", policy.floor},
              {"family_margin", policy.family_margin},
              {"min_paired", policy.min_paired},
              {"max_unscored", policy.max_unscored},
              {"max_cut_rise", policy.max_cut_rise},
              {"max_slowdown", or_null(policy.max_slowdown)},
              {"primary", list_json(policy.primary, &primary_json)},
              {"families", list_json(policy.families, &family_json)}}
      .dump();
}

Sha256Digest policy_sha256(const Policy& policy) {
  return sha256(canonical_policy(policy));
}

}  // namespace fathom::results
