#include "results/migrations.h"

#include <filesystem>

#include "base/clock.h"
#include "base/error.h"

namespace fathom::results {
namespace {

constexpr Migration kMigrations[] = {
    {.version = 2,
     .name = "judging and throughput",
     .sql =
#include "results/migrations/2_judging_and_throughput.sql.inc"
         , .min_reader = 1},
    {.version = 3,
     .name = "benchmarks",
     .sql =
#include "results/migrations/3_benchmarks.sql.inc"
         , .min_reader = 2},
};

// A copy of the whole database beside it; one that an earlier, interrupted attempt left is kept.
void back_up(Database& database, int64_t version) {
  const std::filesystem::path backup = fmt::format("{}.bak-v{}", database.path().string(), version);
  if (std::filesystem::exists(backup)) return;
  const std::filesystem::path unfinished = backup.string() + ".tmp";
  std::filesystem::remove(unfinished);
  database.prepare("VACUUM INTO ?").run(unfinished.string());
  std::filesystem::rename(unfinished, backup);
}

void run_migration(Database& database, const Migration& migration, const std::string& app_version) {
  Transaction transaction(database);
  database.execute(migration.sql);
  database.prepare("INSERT INTO schema_migration VALUES(?, ?, ?, ?, ?)")
      .run(migration.version, migration.name, app_version, migration.min_reader, unix_time_us());
  database.execute(fmt::format("PRAGMA user_version = {}", migration.version));
  check_integrity(database);
  transaction.commit();
}

}  // namespace

std::span<const Migration> migrations() {
  return kMigrations;
}

void check_integrity(const Database& database) {
  const std::string found = database.query_text("PRAGMA integrity_check(1)");
  if (found != "ok") {
    bad_input(database.path().string(), "the database is damaged ({}); restore a backup of it", found);
  }
  Statement dangling = database.prepare("PRAGMA foreign_key_check");
  if (dangling.step()) {
    bad_input(database.path().string(), "the database is damaged (a row of {} refers to a missing row of {})",
              dangling.text(0), dangling.text(2));
  }
}

void migrate(Database& database, const std::string& app_version) {
  const int64_t version = database.query_int("PRAGMA user_version");
  check_integrity(database);
  back_up(database, version);
  for (const Migration& migration : kMigrations) {
    if (migration.version > version) run_migration(database, migration, app_version);
  }
}

}  // namespace fathom::results
