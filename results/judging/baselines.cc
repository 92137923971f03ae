#include "results/judging/baselines.h"

#include <algorithm>
#include <cctype>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "results/runs.h"

namespace fathom::results {
namespace {

constexpr size_t kLongestName = 64;

void check_name(const std::string& name) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
  };
  const bool characters =
      !name.empty() && name.size() <= kLongestName && std::all_of(name.begin(), name.end(), allowed);
  const bool a_run = name == "latest" || std::all_of(name.begin(), name.end(),
                                                     [](unsigned char c) { return std::isdigit(c) != 0; });
  if (characters && !a_run) return;
  throw Error(
      ErrorKind::kUsage,
      fmt::format("a baseline cannot be called {}: expected up to {} letters, digits, '.', '_' and '-', and "
                  "neither a number nor \"latest\"",
                  json_quoted(name), kLongestName));
}

}  // namespace

void set_baseline(Database& database, const std::string& name, int64_t run_id) {
  check_name(name);
  database
      .prepare(
          "INSERT INTO baseline VALUES(?, ?, ?)"
          " ON CONFLICT(name) DO UPDATE SET run_id = excluded.run_id, set_us = excluded.set_us")
      .run(name, run_id, unix_time_us());
}

void remove_baseline(Database& database, const std::string& name) {
  database.prepare("DELETE FROM baseline WHERE name = ?").run(name);
  if (database.changes() == 0) {
    bad_input(database.path().string(), "no baseline {}; see `fathom baseline list`", json_quoted(name));
  }
}

std::vector<Baseline> list_baselines(const Database& database) {
  Statement rows = database.prepare("SELECT name, run_id, set_us FROM baseline ORDER BY name");
  std::vector<Baseline> all;
  while (rows.step()) all.push_back({rows.text(0), rows.integer(1), rows.integer(2)});
  return all;
}

int64_t resolve_run(const Database& database, const std::string& reference) {
  const std::optional<int64_t> named =
      database.prepare("SELECT run_id FROM baseline WHERE name = ?").find_integer(reference);
  return named ? *named : find_run(database, reference);
}

}  // namespace fathom::results
