// Opening a database file: creating its schema, recognising it, refusing what is not ours.
#pragma once

#include <filesystem>
#include <string>

#include "results/file_system.h"
#include "results/sqlite.h"

namespace fathom::results {

/// "FTHM": tells a fathom database from any other SQLite file.
inline constexpr int64_t kApplicationId = 0x4654484D;
/// What this program writes.
inline constexpr int64_t kSchemaVersion = 3;

/// A read-only connection; the writer is never blocked by it. Throws Error{kBadInput} for a missing file,
/// another program's file, a schema that this version cannot read, and a database on a network file system
/// that is being written (there a reader could see half of a commit).
Database open_for_reading(const std::filesystem::path& path, FileSystemProbe probe = &probe_file_system);

/// The same for a program that copies the whole file and looks into no table: every schema version will do.
Database open_for_copying(const std::filesystem::path& path, FileSystemProbe probe = &probe_file_system);

/// A read-write connection with the schema in place: created if the file is new, migrated if it is older. The
/// caller holds the writer's lock. Throws Error{kBadInput} for a read-only file, another program's file and a
/// newer schema.
Database open_for_writing(const std::filesystem::path& path, const std::string& app_version,
                          FileSystemProbe probe = &probe_file_system);

}  // namespace fathom::results
