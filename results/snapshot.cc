#include "results/snapshot.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <memory>
#include <system_error>

#include "base/error.h"
#include "results/schema.h"

namespace fathom::results {
namespace {

namespace fs = std::filesystem;

// Removes an unfinished copy, whatever ended it.
class Unfinished {
 public:
  explicit Unfinished(fs::path path) : path_(std::move(path)) {}
  ~Unfinished() {
    std::error_code ignored;
    fs::remove(path_, ignored);
    fs::remove(path_.string() + "-journal", ignored);
  }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;

 private:
  fs::path path_;
};

void flush_folder(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;  // the rename is done; only its durability over a power cut is not
  ::fsync(fd);
  ::close(fd);
}

// A file that we may write over: ours and in nobody's use, or none.
void require_replaceable(const fs::path& out, Existing existing, FileSystemProbe probe) {
  for (const char* log : {"-wal", "-journal"}) {
    const fs::path beside = out.string() + log;
    // SQLite would take what such a file holds for the new database's own.
    if (fs::exists(beside)) {
      bad_input(out.string(),
                "{} lies beside it: a program has that database open, or was killed; choose another name",
                beside.filename().string());
    }
  }
  if (!fs::exists(out)) return;
  if (existing == Existing::kKeep) {
    bad_input(out.string(), "exists already; choose another name or give --force to replace it");
  }
  open_for_copying(out, probe);
}

}  // namespace

void replace_content(const Database& from, Database& to) {
  std::unique_ptr<sqlite3_backup, int (*)(sqlite3_backup*)> backup(
      sqlite3_backup_init(to.handle(), "main", from.handle(), "main"), &sqlite3_backup_finish);
  if (backup == nullptr) to.fail("cannot begin to copy");
  const int code = sqlite3_backup_step(backup.get(), -1);
  backup.reset();  // its error, if any, is now the connection's
  if (code != SQLITE_DONE) to.fail(fmt::format("cannot copy {} here", from.path().string()), code);
}

void snapshot(const fs::path& from, const fs::path& out, Existing existing, FileSystemProbe probe) {
  snapshot(open_for_copying(from, probe), out, existing, probe);
}

void snapshot(const Database& from, const fs::path& out, Existing existing, FileSystemProbe probe) {
  require_replaceable(out, existing, probe);
  const fs::path temporary = fmt::format("{}.{}.tmp", out.string(), ::getpid());
  fs::remove(temporary);
  const Unfinished unfinished(temporary);
  {
    Database copy(temporary, Database::Access::kReadWrite);
    replace_content(from, copy);
    copy.execute("PRAGMA synchronous = FULL; PRAGMA journal_mode = DELETE");
  }
  fs::rename(temporary, out);
  flush_folder(out);
}

}  // namespace fathom::results
