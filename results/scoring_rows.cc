#include "results/scoring_rows.h"

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"

namespace fathom::results {
namespace {

std::string params_json(const ScoringRecord& scoring) {
  nlohmann::json params = nlohmann::json::object();
  if (!scoring.pass_k.empty()) params["k"] = scoring.pass_k;
  return params.dump();
}

}  // namespace

std::vector<int64_t> insert_scorings(Database& database, const std::vector<ScoringRecord>& scorings,
                                     int64_t run_task_id) {
  Statement insert = database.prepare(
      "INSERT INTO scoring(run_task_id, metric, filter, scorer_version, kind, low, high, params, headline, "
      "created_us)"
      " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING scoring_id");
  std::vector<int64_t> ids;
  for (const ScoringRecord& scoring : scorings) {
    const bool bounded = scoring.kind != ScoreKind::kReal;
    const std::optional<int64_t> id = insert.find_integer(
        run_task_id, scoring.metric, scoring.filter, scoring.scorer_version, score_kind_name(scoring.kind),
        bounded ? std::optional(scoring.low) : std::nullopt,
        bounded ? std::optional(scoring.high) : std::nullopt, params_json(scoring), scoring.headline,
        unix_time_us());
    FATHOM_CHECK(id);
    ids.push_back(*id);
  }
  return ids;
}

std::optional<std::vector<int64_t>> find_scorings(const Database& database,
                                                  const std::vector<ScoringRecord>& scorings,
                                                  int64_t run_task_id) {
  Statement find = database.prepare(
      "SELECT scoring_id FROM scoring WHERE run_task_id = ? AND metric = ? AND filter = ? AND scorer_version "
      "= ?");
  std::vector<int64_t> ids;
  for (const ScoringRecord& scoring : scorings) {
    const std::optional<int64_t> id =
        find.find_integer(run_task_id, scoring.metric, scoring.filter, scoring.scorer_version);
    if (!id) return std::nullopt;
    ids.push_back(*id);
  }
  return ids;
}

}  // namespace fathom::results
