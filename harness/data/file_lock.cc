#include "harness/data/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"

namespace fathom::harness {
namespace {

// Like flock(), but goes on after signals. Returns 0 or errno.
int lock(int fd, int operation) {
  while (::flock(fd, operation) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path, const std::string& doing_what)
    : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (fd_ < 0) bad_input(path.string(), "cannot create: {}", std::strerror(errno));
  int failure = lock(fd_, LOCK_EX | LOCK_NB);
  if (failure == EWOULDBLOCK) {
    std::fprintf(stderr, "fathom: waiting for another process that is %s\n", doing_what.c_str());
    failure = lock(fd_, LOCK_EX);
  }
  if (failure == 0) return;
  ::close(fd_);
  bad_input(path.string(), "cannot lock: {}", std::strerror(failure));
}

FileLock::~FileLock() {
  ::close(fd_);
}

}  // namespace fathom::harness
