#include "results/writer_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

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

}  // namespace

WriterLock::WriterLock(const std::filesystem::path& database) {
  const std::string path = database.string() + ".lock";
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) {
    bad_input(database.string(),
              "cannot write: the lock file {} cannot be opened ({}); check that the folder exists and is "
              "writable, or choose another --db",
              path, std::strerror(errno));
  }
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
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
