#include "harness/run_pair.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "results/judging/baselines.h"
#include "results/schema.h"

namespace fathom::harness {

void add_database_options(CLI::App& command, RunPair& runs) {
  command.add_option("--db", runs.db, "Results database")->required()->option_text("FILE");
  command.add_option("--cand-db", runs.cand_db, "Results database of the candidate, where it is another one")
      ->option_text("FILE");
}

results::PairedRuns load_pair(const RunPair& runs) {
  const results::Database base = results::open_for_reading(runs.db);
  const int64_t base_run = results::resolve_run(base, runs.base);
  if (runs.cand_db.empty())
    return results::pair_runs(base, base_run, base, results::resolve_run(base, runs.cand));
  const results::Database cand = results::open_for_reading(runs.cand_db);
  return results::pair_runs(base, base_run, cand, results::resolve_run(cand, runs.cand));
}

void write_json(const std::string& path, const nlohmann::json& value) {
  const std::string text = value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (path == "-") {
    fmt::print("{}", text);
  } else {
    write_file_atomically(path, text);
  }
}

}  // namespace fathom::harness
