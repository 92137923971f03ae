// Bringing a database of an older schema up to date.
//
// Each step is one transaction: its SQL, the schema_migration row, the new user_version, and a check of the
// whole file before COMMIT; a kill at any moment leaves the old version or the new one. The file as it was is
// kept beside it as "<file>.bak-v<version>".
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "results/sqlite.h"

namespace fathom::results {

struct Migration {
  int64_t version = 0;  ///< that it leads to
  const char* name = "";
  const char* sql = "";
  int64_t min_reader = 0;  ///< oldest schema version whose program may still read the result
};

/// From version 2 on, in order.
std::span<const Migration> migrations();

/// Runs every migration that `database` (read-write, not empty, older than this program) lacks. Throws
/// Error{kBadInput} when the backup or a check fails; the file is then unchanged.
void migrate(Database& database, const std::string& app_version);

/// Throws Error{kBadInput} when SQLite finds the file damaged or a row refers to one that is not there.
void check_integrity(const Database& database);

}  // namespace fathom::results
