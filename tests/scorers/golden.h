// Golden files of tests/golden/scorers.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace fathom::scorers {

/// The "cases" of tests/golden/scorers/`name`.json: one array each, columns as the file's "columns" says.
inline nlohmann::json golden_cases(const std::string& name) {
  std::ifstream file(FATHOM_SOURCE_DIR "/tests/golden/scorers/" + name + ".json");
  return nlohmann::json::parse(file).at("cases");
}

}  // namespace fathom::scorers
