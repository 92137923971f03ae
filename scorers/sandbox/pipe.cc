#include "scorers/sandbox/pipe.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace fathom::sandbox {
namespace {

[[noreturn]] void throw_errno(const char* what) {
  throw Error(ErrorKind::kEnvironment, fmt::format("{}: {}", what, std::strerror(errno)), "sandbox");
}

}  // namespace

Pipe make_pipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) throw_errno("pipe2");
  return {FileDescriptor(fds[0]), FileDescriptor(fds[1])};
}

std::pair<FileDescriptor, FileDescriptor> make_socket_pair(int type) {
  int fds[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) != 0) throw_errno("socketpair");
  return {FileDescriptor(fds[0]), FileDescriptor(fds[1])};
}

void make_non_blocking(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

FileDescriptor make_memory_file(const char* name, std::string_view content) {
  FileDescriptor file(memfd_create(name, MFD_CLOEXEC));
  if (!file) throw_errno("memfd_create");
  for (size_t done = 0; done < content.size();) {
    const ssize_t n = write(file.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno != EINTR) throw_errno("writing a memory file");
    if (n > 0) done += static_cast<size_t>(n);
  }
  lseek(file.get(), 0, SEEK_SET);
  return file;
}

std::string read_memory_file(int fd, size_t limit) {
  std::string text(limit, '\0');
  const ssize_t n = pread(fd, text.data(), text.size(), 0);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return text;
}

}  // namespace fathom::sandbox
