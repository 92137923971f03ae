// The schema of the database file: creating it, recognising it, refusing what is not ours.
#pragma once

#include <filesystem>
#include <string>

#include "results/sqlite.h"

namespace fathom::results {

/// "FTHM": tells a fathom database from any other SQLite file.
inline constexpr int64_t kApplicationId = 0x4654484D;
/// What this program writes.
inline constexpr int64_t kSchemaVersion = 1;

/// A read-only connection. Throws Error{kBadInput} for a missing file, another program's file and a schema
/// that this version cannot read.
Database open_for_reading(const std::filesystem::path& path);

/// A read-write connection with the schema in place, created if the file is new. The caller holds the
/// writer's lock. Throws Error{kBadInput} for a read-only file, another program's file and a newer schema.
Database open_for_writing(const std::filesystem::path& path, const std::string& app_version);

}  // namespace fathom::results
