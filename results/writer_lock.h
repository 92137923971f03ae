// The lock that makes one process the writer of a database: flock on "<file>.lock".
//
// SQLite's own locks would let two processes take turns; one writer for the whole session is what keeps two
// checkpointers from ever meeting (SQLite before 3.51.3 can then corrupt the write-ahead log). The kernel
// drops the lock when the process ends, however it ends, so a stale lock cannot exist; the lock file stays.
#pragma once

#include <filesystem>

namespace fathom::results {

class WriterLock {
 public:
  /// Throws Error{kBadInput} naming the process that holds the lock, or why the lock file cannot be made.
  explicit WriterLock(const std::filesystem::path& database);
  ~WriterLock();
  /// True while some process is the writer.
  static bool is_held(const std::filesystem::path& database);
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace fathom::results
