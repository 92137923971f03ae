#include "results/local_copy.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/sha256.h"
#include "results/merge.h"
#include "results/schema.h"
#include "results/snapshot.h"
#include "results/store.h"
#include "results/writer_lock.h"

namespace fathom::results {
namespace {

namespace fs = std::filesystem;

// Databases of the same name in two folders must not meet in one local folder.
fs::path local_name(const fs::path& database) {
  const std::string whole = fs::weakly_canonical(database).string();
  return fmt::format("{}-{}.db", database.stem().string(), to_hex(sha256(whole)).substr(0, 12));
}

void require_local_folder(const fs::path& folder, FileSystemProbe probe) {
  if (!fs::is_directory(folder)) bad_input(folder.string(), "--db-local needs a folder that exists");
  const FileSystemInfo info = probe(folder / ".");
  if (info.network) {
    bad_input(folder.string(),
              "--db-local needs a folder on a local disk; this one is on a network file system ({})",
              info.name);
  }
}

void remove_database(const fs::path& path) {
  for (const char* suffix : {"-wal", "-shm", "-journal", ".lock", ""}) fs::remove(path.string() + suffix);
}

// All content into the file itself: what is copied says how it was written last.
void end_log(Database& database) {
  if (database.query_text("PRAGMA journal_mode = DELETE") != "delete") {
    bad_input(database.path().string(),
              "another program has it open and it cannot be copied back; close that program");
  }
}

}  // namespace

LocalCopy::LocalCopy(fs::path database, const fs::path& folder, std::string app_version,
                     FileSystemProbe probe)
    : database_(std::move(database)),
      local_(folder / local_name(database_)),
      app_version_(std::move(app_version)),
      probe_(probe) {
  require_local_folder(folder, probe_);
  lock_ = std::make_unique<WriterLock>(database_);
  // Brought up to date, and made if it is new: what cannot be written should be known before hours of work.
  const Database original = open_for_writing(database_, app_version_, probe_);
  // Work begins only when left_over is gone again: while it exists, the copy beside it holds nothing new.
  const fs::path left_over = local_.string() + ".left";
  if (fs::exists(local_) && !fs::exists(left_over)) {
    {
      Store::open_for_writing(local_, app_version_, probe_);
    }  // brings in its log, ends the runs of the killed
    snapshot(local_, left_over, Existing::kReplace, probe_);
  }
  remove_database(local_);
  snapshot(original, local_, Existing::kReplace, probe_);
  if (!fs::exists(left_over)) return;
  {
    Database copy = open_for_writing(local_, app_version_, probe_);
    merge_runs(copy, left_over, app_version_, probe_);
  }
  remove_database(left_over);
}

LocalCopy::~LocalCopy() = default;

void LocalCopy::copy_back() {
  {
    Database copy = open_for_writing(local_, app_version_, probe_);
    end_log(copy);
    Database database = open_for_writing(database_, app_version_, probe_);
    replace_content(copy, database);
  }
  remove_database(local_);
}

}  // namespace fathom::results
