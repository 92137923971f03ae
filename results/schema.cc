#include "results/schema.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <fstream>

#include "base/clock.h"
#include "base/error.h"
#include "results/migrations.h"
#include "results/writer_lock.h"

namespace fathom::results {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSchemaSql =
#include "results/schema.sql.inc"
    ;

bool is_empty(const Database& database) {
  return database.query_int("SELECT count(*) FROM sqlite_schema") == 0;
}

int64_t user_version(const Database& database) {
  return database.query_int("PRAGMA user_version");
}

// Throws unless the file is a fathom database.
void require_ours(const Database& database) {
  const int64_t found = database.query_int("PRAGMA application_id");
  if (found == kApplicationId) return;
  if (found == 0 && is_empty(database)) {
    bad_input(database.path().string(), "is an empty database; the first `fathom run --db` fills it");
  }
  bad_input(
      database.path().string(),
      "is an SQLite database of another program (application id {:#x}, expected {:#x}); choose another --db",
      found, kApplicationId);
}

// The oldest schema version whose program may read this file, as the newest migration recorded it.
int64_t min_reader(const Database& database) {
  return database.query_int("SELECT min_reader FROM schema_migration ORDER BY version DESC LIMIT 1");
}

void create_schema(Database& database, const std::string& app_version) {
  Transaction transaction(database);
  database.execute(kSchemaSql);
  database.prepare("INSERT INTO schema_migration VALUES(?, 'created', ?, ?, ?)")
      .run(kSchemaVersion, app_version, migrations().back().min_reader, unix_time_us());
  database.execute(fmt::format("PRAGMA application_id = {}", kApplicationId));
  database.execute(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  transaction.commit();
}

// On a network file system one process holds the file for itself: no shared memory, no second opener, the old
// rollback journal. Slower (each commit writes pages twice), and readers have to wait for the end.
void set_journal(Database& database, bool network) {
  if (network) database.execute("PRAGMA locking_mode = EXCLUSIVE");
  const std::string wanted = network ? "delete" : "wal";
  const std::string mode = database.query_text("PRAGMA journal_mode = " + wanted);
  if (mode != wanted) {
    bad_input(database.path().string(),
              "cannot use journal mode \"{}\" here (SQLite kept \"{}\"); put --db on a local disk or use "
              "--db-local",
              wanted, mode);
  }
}

void set_writer_pragmas(Database& database) {
  // FULL: what commit_samples has acknowledged survives a power cut. At one commit a second it costs nothing
  // that could be measured (0.2 ms a commit on a virtual disk).
  database.execute(
      "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -65536;"
      "PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY");
}

// Byte 18 of an SQLite file is 2 when it was last written with a write-ahead log.
bool uses_wal(const fs::path& path) {
  char header[20] = {};
  std::ifstream(path, std::ios::binary).read(header, sizeof header);
  return header[18] == 2;
}

// A reader of a file with a write-ahead log needs shared memory beside it. Where that cannot be made (a
// read-only folder, a network file system) and nobody writes, the file alone is the whole truth.
Database::Access reading_access(const fs::path& path, const FileSystemInfo& file_system) {
  if (file_system.network && WriterLock::is_held(path)) {
    bad_input(
        path.string(),
        "is being written on a network file system ({}), where it cannot be read at the same time; wait for "
        "the writer to finish, or let it run with --db-local on a local disk",
        file_system.name);
  }
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const bool no_shared_memory =
      file_system.network || ::faccessat(AT_FDCWD, folder.c_str(), W_OK, AT_EACCESS) != 0;
  if (!uses_wal(path) || !no_shared_memory) return Database::Access::kReadOnly;
  const fs::path log = path.string() + "-wal";
  if (fs::exists(log) && !fs::is_empty(log)) {
    bad_input(
        path.string(),
        "its last writer was killed and left {}, which only a writer can bring in; make the folder writable, "
        "or copy both files to a local disk",
        log.string());
  }
  return Database::Access::kImmutable;
}

void require_readable_version(const Database& database) {
  const int64_t version = user_version(database);
  const std::string file = database.path().string();
  if (version < kSchemaVersion) {
    bad_input(file,
              "has schema {} of an older fathom (this one reads {}); `fathom db migrate {}` brings it up to "
              "date and keeps a copy of it as it is",
              version, kSchemaVersion, file);
  }
  if (version > kSchemaVersion && min_reader(database) > kSchemaVersion) {
    bad_input(file, "was written by a newer fathom (schema {}, this one reads up to {}); use that version",
              version, kSchemaVersion);
  }
}

}  // namespace

Database open_for_copying(const fs::path& path, FileSystemProbe probe) {
  if (!fs::exists(path)) {
    bad_input(path.string(), "no such results database; `fathom run ... --db {}` makes one", path.string());
  }
  Database database(path, reading_access(path, probe(path)));
  require_ours(database);
  return database;
}

Database open_for_reading(const fs::path& path, FileSystemProbe probe) {
  Database database = open_for_copying(path, probe);
  require_readable_version(database);
  return database;
}

Database open_for_writing(const fs::path& path, const std::string& app_version, FileSystemProbe probe) {
  Database database(path, Database::Access::kReadWrite);
  // SQLite falls back to a read-only connection without saying so.
  if (sqlite3_db_readonly(database.handle(), "main") == 1) {
    bad_input(path.string(), "the file is read-only; check its permissions or choose another --db");
  }
  const bool is_new = is_empty(database);
  if (!is_new) require_ours(database);
  if (!is_new && user_version(database) > kSchemaVersion) {
    bad_input(
        path.string(),
        "was written by a newer fathom (schema {}, this one writes {}); use that version, or another --db",
        user_version(database), kSchemaVersion);
  }
  if (is_new) database.execute("PRAGMA page_size = 8192");  // has an effect only before the first page
  set_journal(database, probe(path).network);
  set_writer_pragmas(database);
  if (is_new) create_schema(database, app_version);
  if (user_version(database) < kSchemaVersion) migrate(database, app_version);
  return database;
}

}  // namespace fathom::results
