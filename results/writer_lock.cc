#include "results/writer_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "base/error.h"

namespace fathom::results {
namespace {

// What the holder wrote about itself: "process 4711". Empty when it has not come to it yet.
std::string holder(int fd) {
  char buffer[64];
  const ssize_t n = ::pread(fd, buffer, sizeof buffer, 0);
  std::string text(buffer, n > 0 ? static_cast<size_t>(n) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.empty() ? "another process" : text;
}

// A reader on a network file system looks at the lock for an instant (is_held); that is no writer.
bool lock_soon(int fd) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  errno = EWOULDBLOCK;
  return false;
}

std::string lock_path(const std::filesystem::path& database) {
  return database.string() + ".lock";
}

}  // namespace

bool WriterLock::is_held(const std::filesystem::path& database) {
  const int fd = ::open(lock_path(database).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool held = ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return held;
}

WriterLock::WriterLock(const std::filesystem::path& database) {
  const std::string path = lock_path(database);
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) {
    bad_input(database.string(),
              "cannot write: the lock file {} cannot be opened ({}); check that the folder exists and is "
              "writable, or choose another --db",
              path, std::strerror(errno));
  }
  if (!lock_soon(fd_)) {
    const int reason = errno;
    const std::string who = holder(fd_);
    ::close(fd_);
    if (reason == EWOULDBLOCK) {
      bad_input(database.string(),
                "{} is writing to this database; wait until it has finished or write to another --db "
                "(`fathom db merge` joins files; show, samples, list and compare read at any time)",
                who);
    }
    bad_input(database.string(), "cannot lock {}: {}", path, std::strerror(reason));
  }
  const std::string me = fmt::format("process {}\n", ::getpid());
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, me.data(), me.size(), 0) < 0) {
    // Only the other side's error message would have used it.
  }
}

WriterLock::~WriterLock() {
  ::close(fd_);
}

}  // namespace fathom::results
