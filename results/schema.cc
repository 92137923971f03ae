#include "results/schema.h"

#include <sqlite3.h>

#include "base/clock.h"
#include "base/error.h"

namespace fathom::results {
namespace {

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
  database.execute("PRAGMA page_size = 8192");  // has an effect only before the first table
  Transaction transaction(database);
  database.execute(kSchemaSql);
  database.prepare("INSERT INTO schema_migration VALUES(?, ?, ?, ?, ?)")
      .run(kSchemaVersion, "first version", app_version, kSchemaVersion, unix_time_us());
  database.execute(fmt::format("PRAGMA application_id = {}", kApplicationId));
  database.execute(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  transaction.commit();
}

void set_writer_pragmas(Database& database) {
  const std::string mode = database.query_text("PRAGMA journal_mode = WAL");
  if (mode != "wal") {
    bad_input(database.path().string(),
              "cannot use a write-ahead log here (SQLite kept journal mode \"{}\"); put --db on a local disk",
              mode);
  }
  // FULL: what commit_samples has acknowledged survives a power cut. At one commit a second it costs nothing
  // that could be measured (0.2 ms a commit on a virtual disk).
  database.execute(
      "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -65536;"
      "PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY");
}

}  // namespace

Database open_for_reading(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) {
    bad_input(path.string(), "no such results database; `fathom run ... --db {}` makes one", path.string());
  }
  Database database(path, Database::Access::kReadOnly);
  require_ours(database);
  const int64_t version = user_version(database);
  if (version > kSchemaVersion && min_reader(database) > kSchemaVersion) {
    bad_input(path.string(),
              "was written by a newer fathom (schema {}, this one reads up to {}); use that version", version,
              kSchemaVersion);
  }
  return database;
}

Database open_for_writing(const std::filesystem::path& path, const std::string& app_version) {
  Database database(path, Database::Access::kReadWrite);
  // SQLite falls back to a read-only connection without saying so.
  if (sqlite3_db_readonly(database.handle(), "main") == 1) {
    bad_input(path.string(), "the file is read-only; check its permissions or choose another --db");
  }
  if (is_empty(database)) {
    create_schema(database, app_version);
  } else {
    require_ours(database);
  }
  const int64_t version = user_version(database);
  if (version != kSchemaVersion) {
    bad_input(
        path.string(),
        "was written by a newer fathom (schema {}, this one writes {}); use that version, or another --db",
        version, kSchemaVersion);
  }
  set_writer_pragmas(database);
  return database;
}

}  // namespace fathom::results
