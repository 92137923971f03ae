#include "results/file_hasher.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "results/hash_cache.h"

namespace fathom::results {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 22;

WeightFile identity_on_disk(const std::filesystem::path& folder, const std::string& path) {
  struct stat status{};
  if (::stat((folder / path).c_str(), &status) != 0) {
    bad_input((folder / path).string(), "cannot find this file of the checkpoint: {}", std::strerror(errno));
  }
  return {.path = path,
          .size_bytes = status.st_size,
          .mtime_ns = int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec,
          .inode = status.st_ino};
}

void run_at_idle_priority() {
  const sched_param none{};
  // Refused only on odd systems; hashing then competes with the engine, which is slower but not wrong.
  (void)::pthread_setschedparam(::pthread_self(), SCHED_IDLE, &none);
}

}  // namespace

std::vector<WeightFile> find_weight_files(const std::filesystem::path& folder,
                                          const std::vector<std::string>& paths) {
  std::vector<WeightFile> files;
  for (const std::string& path : paths) files.push_back(identity_on_disk(folder, path));
  return files;
}

// The state that the threads share. Each file belongs to the thread that drew its index; the cache and the
// first failure are guarded by the mutex.
class FileHasher::Work {
 public:
  Work(std::filesystem::path folder, std::vector<WeightFile> files, Options options)
      : folder_(std::move(folder)), files_(std::move(files)), cache_(options.cache) {
    hashes_.resize(files_.size());
    for (size_t i = 0; i < files_.size(); ++i) {
      bytes_total_ += files_[i].size_bytes;
      if (!options.rehash) hashes_[i] = cache_.find(absolute(i), files_[i]);
      if (hashes_[i]) {
        bytes_hashed_ += files_[i].size_bytes;
      } else {
        missing_.push_back(i);
      }
    }
    n_running_ = std::min<int>(options.n_threads, static_cast<int>(missing_.size()));
    for (int i = n_running_; i > 0; --i) threads_.emplace_back([this] { hash_missing(); });
  }

  ~Work() {
    stopping_ = true;
    join();
  }

  bool done() const { return n_running_ == 0; }
  int64_t bytes_hashed() const { return bytes_hashed_; }
  int64_t bytes_total() const { return bytes_total_; }

  std::vector<FileIdentity> finish() {
    join();
    if (failure_) std::rethrow_exception(failure_);
    std::vector<FileIdentity> identities;
    for (size_t i = 0; i < files_.size(); ++i) {
      FATHOM_CHECK(hashes_[i], "file {} has no hash", files_[i].path);
      identities.push_back({files_[i].path, files_[i].size_bytes, *hashes_[i]});
    }
    return identities;
  }

 private:
  std::string absolute(size_t i) const {
    return std::filesystem::canonical(folder_ / files_[i].path).string();
  }

  void join() {
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  void hash_missing() {
    run_at_idle_priority();
    try {
      for (size_t next = next_++; next < missing_.size() && !stopping_; next = next_++)
        hash_file(missing_[next]);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      stopping_ = true;
    }
    --n_running_;
  }

  void hash_file(size_t i) {
    const int64_t began_us = unix_time_us();
    const std::optional<Sha256Digest> digest = digest_of(folder_ / files_[i].path);
    if (!digest) return;  // stopped
    // Read while somebody wrote: neither the old content nor the new one.
    if (identity_on_disk(folder_, files_[i].path) != files_[i]) {
      bad_input((folder_ / files_[i].path).string(),
                "this file of the checkpoint changed while it was in use");
    }
    hashes_[i] = digest;
    const std::lock_guard lock(mutex_);
    cache_.add(absolute(i), files_[i], *digest, began_us);
  }

  std::optional<Sha256Digest> digest_of(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) bad_input(path.string(), "cannot open: {}", std::strerror(errno));
    const std::unique_ptr<const int, void (*)(const int*)> closer(&fd, [](const int* d) { ::close(*d); });
    std::vector<std::byte> piece(kPieceBytes);
    Sha256 hash;
    while (!stopping_) {
      const ssize_t n = ::read(fd, piece.data(), piece.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) bad_input(path.string(), "cannot read: {}", std::strerror(errno));
      if (n == 0) return hash.finish();
      hash.update(std::span(piece.data(), static_cast<size_t>(n)));
      bytes_hashed_ += n;
    }
    return std::nullopt;
  }

  std::filesystem::path folder_;
  std::vector<WeightFile> files_;
  std::vector<std::optional<Sha256Digest>> hashes_;  // beside files_
  std::vector<size_t> missing_;                      // indices into files_ that the cache did not know
  int64_t bytes_total_ = 0;
  std::atomic<int64_t> bytes_hashed_ = 0;
  std::atomic<size_t> next_ = 0;
  std::atomic<int> n_running_ = 0;
  std::atomic<bool> stopping_ = false;

  std::mutex mutex_;
  HashCache cache_;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

FileHasher::FileHasher(std::filesystem::path folder, std::vector<WeightFile> files, Options options)
    : work_(std::make_unique<Work>(std::move(folder), std::move(files), std::move(options))) {}
FileHasher::~FileHasher() = default;

bool FileHasher::done() const {
  return work_->done();
}
int64_t FileHasher::bytes_hashed() const {
  return work_->bytes_hashed();
}
int64_t FileHasher::bytes_total() const {
  return work_->bytes_total();
}
std::vector<FileIdentity> FileHasher::finish() {
  return work_->finish();
}

}  // namespace fathom::results
