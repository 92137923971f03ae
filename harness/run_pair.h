// Two runs named on the command line, perhaps from two databases: what `fathom compare` and `fathom gate`
// begin with.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "results/judging/paired_runs.h"

namespace CLI {
class App;
}  // namespace CLI

namespace fathom::harness {

struct RunPair {
  std::string base;  ///< a run's number, UUID, `latest`, or a baseline's name
  std::string cand;
  std::string db;
  std::string cand_db;  ///< empty: the same
};

/// --db and --cand-db.
void add_database_options(CLI::App& command, RunPair& runs);

results::PairedRuns load_pair(const RunPair& runs);

/// Indented; "-" is standard output. Text that is not UTF-8 is written with U+FFFD.
void write_json(const std::string& path, const nlohmann::json& value);

}  // namespace fathom::harness
