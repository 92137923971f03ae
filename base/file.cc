#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace fathom {
namespace {

// Owns a file descriptor for the length of one function.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

int open_for_reading(const std::filesystem::path& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) bad_input(path.string(), "cannot open: {}", std::strerror(errno));
  return fd;
}

struct stat regular_file_status(int fd, const std::filesystem::path& path) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) bad_input(path.string(), "cannot stat: {}", std::strerror(errno));
  if (S_ISDIR(status.st_mode)) bad_input(path.string(), "is a folder; expected a file");
  return status;
}

void write_all(int fd, std::string_view content, const std::filesystem::path& path) {
  while (!content.empty()) {
    ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) bad_input(path.string(), "cannot write: {}", std::strerror(errno));
    content.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  Descriptor fd(open_for_reading(path));
  regular_file_status(fd.get(), path);
  std::string content;
  char buffer[1 << 16];
  while (true) {
    ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) bad_input(path.string(), "cannot read: {}", std::strerror(errno));
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
  }
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  std::string temporary = path.string() + ".tmp-XXXXXX";
  Descriptor fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (fd.get() < 0)
    bad_input(path.string(), "cannot create a temporary file beside it: {}", std::strerror(errno));
  try {
    write_all(fd.get(), content, path);
    // mkostemp creates 0600; a result file should have the mode any other new file would.
    mode_t mask = ::umask(0);
    ::umask(mask);
    ::fchmod(fd.get(), 0666 & ~mask);
    if (::fsync(fd.get()) != 0) bad_input(path.string(), "cannot flush: {}", std::strerror(errno));
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
      bad_input(path.string(), "cannot rename the finished file into place: {}", std::strerror(errno));
    }
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

FileWriter::FileWriter(const std::filesystem::path& path)
    : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
  if (fd_ < 0) bad_input(path.string(), "cannot create: {}", std::strerror(errno));
}

FileWriter::~FileWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(path_.c_str());
}

void FileWriter::append(std::string_view bytes) {
  write_all(fd_, bytes, path_);
}

void FileWriter::finish() {
  if (::fsync(fd_) != 0) bad_input(path_.string(), "cannot flush: {}", std::strerror(errno));
  if (::close(std::exchange(fd_, -1)) != 0)
    bad_input(path_.string(), "cannot close: {}", std::strerror(errno));
}

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  Descriptor fd(open_for_reading(path));
  size_ = static_cast<size_t>(regular_file_status(fd.get(), path).st_size);
  if (size_ == 0) return;
  void* map = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (map == MAP_FAILED) bad_input(path.string(), "cannot map {} bytes: {}", size_, std::strerror(errno));
  // Reads ahead in large pages where the file system has them: a sweep over weights in pages of 2 MiB is up
  // to twice as fast as in pages of 4 KiB (docs/performance.md). A refusal changes speed only.
  ::madvise(map, size_, MADV_HUGEPAGE);
  data_ = static_cast<const std::byte*>(map);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      path_(std::move(other.path_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}

}  // namespace fathom
