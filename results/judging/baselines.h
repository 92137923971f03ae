// Names for runs that others are compared with: `fathom baseline set NAME RUN`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "results/sqlite.h"

namespace fathom::results {

struct Baseline {
  std::string name;
  int64_t run_id = 0;
  int64_t set_us = 0;
};

/// Gives `name` to the run; a name that is taken moves. Throws Error{kUsage} for a name that could be taken
/// for a run (a number, "latest") or has other characters than letters, digits, '.', '_' and '-', or is
/// longer than 64.
void set_baseline(Database& database, const std::string& name, int64_t run_id);

/// Throws Error{kBadInput} when there is no such name.
void remove_baseline(Database& database, const std::string& name);

/// By name.
std::vector<Baseline> list_baselines(const Database& database);

/// The run that `reference` means: the name of a baseline, or what find_run() takes. Throws Error{kBadInput}.
int64_t resolve_run(const Database& database, const std::string& reference);

}  // namespace fathom::results
