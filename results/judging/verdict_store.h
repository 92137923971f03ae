// What gates have said, kept in the database with the policy that they applied.
#pragma once

#include <cstdint>
#include <string>

#include "results/judging/gate.h"
#include "results/judging/policy.h"
#include "results/sqlite.h"

namespace fathom::results {

/// Both runs are of this database; `report_json` is what `fathom gate --json` writes. One transaction.
void store_verdict(Database& database, int64_t base_run, int64_t cand_run, const Policy& policy,
                   Verdict verdict, const std::string& report_json);

}  // namespace fathom::results
