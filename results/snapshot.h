// Whole copies of a database, by SQLite's backup API: consistent while a writer goes on.
#pragma once

#include <filesystem>

#include "results/file_system.h"
#include "results/sqlite.h"

namespace fathom::results {

/// What a snapshot may do to a file that is there already.
enum class Existing { kKeep, kReplace };

/// Copies the database to `out`, which appears whole or not at all; it has no write-ahead log, so any program
/// may read it. Every schema version can be copied, and the copy has the same. Throws Error{kBadInput}:
/// `from` is no fathom database, `out` exists (under kKeep) or is no fathom database, the disk is full.
void snapshot(const std::filesystem::path& from, const std::filesystem::path& out, Existing existing,
              FileSystemProbe probe = &probe_file_system);

/// The same from a connection that is open already.
void snapshot(const Database& from, const std::filesystem::path& out, Existing existing,
              FileSystemProbe probe = &probe_file_system);

/// Replaces the content of `to` (read-write, its lock held) with that of `from` in one transaction: a reader,
/// or a process that comes after a kill, sees the old content or the new.
void replace_content(const Database& from, Database& to);

}  // namespace fathom::results
