// FileLock: an advisory lock between processes (flock on a file of its own), held as long as the object
// lives.
#pragma once

#include <filesystem>
#include <string>

namespace fathom::harness {

class FileLock {
 public:
  /// Waits until the lock is free; when it is not at once, says on standard error that it waits for another
  /// process that is `doing_what`. Throws Error{kBadInput} when `path` cannot be created or locked.
  FileLock(const std::filesystem::path& path, const std::string& doing_what);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_;
};

}  // namespace fathom::harness
