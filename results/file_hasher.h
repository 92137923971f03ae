// Hashes the tensor files of a checkpoint on idle threads while a run goes on.
//
// A checkpoint is named by the content of its files, and reading hundreds of gigabytes before the first
// question is out of the question. The threads run at idle priority: they take only what the engine leaves. A
// hash is remembered in a cache file by (path, size, mtime, inode), so the next run knows it at once.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "results/records.h"

namespace fathom::results {

/// The files as found, for CheckpointRecord::weights. `paths` are inside `folder`; symbolic links are
/// followed. Throws Error{kBadInput} for a file that is not there.
std::vector<WeightFile> find_weight_files(const std::filesystem::path& folder,
                                          const std::vector<std::string>& paths);

class FileHasher {
 public:
  struct Options {
    int n_threads = 1;
    std::filesystem::path cache;  ///< file of remembered hashes; empty: none is read or written
    bool rehash = false;          ///< read every file again, whatever the cache says
  };

  /// Starts hashing. A damaged cache file is ignored with a line on standard error.
  FileHasher(std::filesystem::path folder, std::vector<WeightFile> files, Options options);
  /// Stops the threads; what was finished is in the cache.
  ~FileHasher();
  FileHasher(const FileHasher&) = delete;
  FileHasher& operator=(const FileHasher&) = delete;

  /// All files are hashed, or one has failed; finish() will not wait. Known at once when all were in the
  /// cache.
  bool done() const;
  int64_t bytes_hashed() const;  ///< of bytes_total(), cached files included
  int64_t bytes_total() const;

  /// Waits for the threads and returns the content of every file, in the order given. Throws Error{kBadInput}
  /// when a file cannot be read or changed since find_weight_files looked at it.
  std::vector<FileIdentity> finish();

 private:
  class Work;
  std::unique_ptr<Work> work_;
};

}  // namespace fathom::results
