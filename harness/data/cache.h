// DatasetCache: the folder in which fathom keeps the data sets that it fetched or imported.
//
//   <root>/mmlu/                      a whole set, checked; appears and is replaced by one rename
//   <root>/mmlu/fathom-dataset.json   its record: source, time, size and SHA-256 of every file
//   <root>/.mmlu.partial/             a set being written; whoever holds the lock next removes what a killed
//                                     process left
//   <root>/.mmlu.lock                 flock: one process at a time writes a set
//
// So a reader sees a whole set or none. The layout below <root> is the one that --data takes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/data/dataset.h"
#include "harness/data/file_lock.h"

namespace fathom::harness {

/// What was written beside a set when it came into the cache.
struct DatasetRecord {
  std::string source;        ///< URL or folder
  std::string installed_at;  ///< "2025-01-31T12:00:00Z"
  std::vector<DataFile> files;
};

enum class DatasetState { kAbsent, kReady, kDamaged };
std::string_view dataset_state_name(DatasetState state);  // "absent", "ready", "damaged"

/// One file that is not what it should be.
struct FileProblem {
  std::string path;
  std::string what;
};

class DatasetCache {
 public:
  explicit DatasetCache(std::filesystem::path root) : root_(std::move(root)) {}

  std::filesystem::path folder(const Dataset& set) const { return root_ / set.name; }
  /// The record of an installed set; nothing when the set is absent. Throws Error{kBadInput} for a broken
  /// one.
  std::optional<DatasetRecord> record(const Dataset& set) const;
  /// From the record, file names and sizes alone; verify() reads the bytes.
  DatasetState state(const Dataset& set) const;
  /// Hashes every file of an installed set. Empty: all as they should be. Throws Error{kBadInput} when
  /// absent.
  std::vector<FileProblem> verify(const Dataset& set) const;

 private:
  friend class DatasetInstall;
  std::filesystem::path root_;
};

/// Puts one set into the cache: take the lock, fill partial(), commit(). Destroyed without commit(), it
/// leaves the cache as it was. Not thread-safe; other processes wait in the constructor.
class DatasetInstall {
 public:
  /// Waits for the set's lock, saying so on standard error, and makes an empty partial(). Throws
  /// Error{kBadInput} when the cache folder cannot be written, or holds a folder of that name without a
  /// record.
  DatasetInstall(const DatasetCache& cache, const Dataset& set);
  ~DatasetInstall();
  DatasetInstall(const DatasetInstall&) = delete;
  DatasetInstall& operator=(const DatasetInstall&) = delete;

  /// Where the files go, by their DataFile::path.
  const std::filesystem::path& partial() const { return partial_; }

  /// Checks the files in partial() against their pinned hashes, or, where they are not pinned, against those
  /// recorded by the first import, when there was one; writes the record and moves the set into place. Throws
  /// Error{kBadInput} naming the first file that is wrong, and how many more are.
  DatasetRecord commit(const std::string& source);

 private:
  const DatasetCache& cache_;
  const Dataset& set_;
  std::filesystem::path partial_;
  FileLock lock_;
};

/// The files of `set` in `folder` that are missing or differ from `expected` (sizes first, then SHA-256).
std::vector<FileProblem> check_files(const std::filesystem::path& folder,
                                     const std::vector<DataFile>& expected);

/// "a.csv: is missing (and 3 more files)"; for the message of an error.
std::string describe(const std::vector<FileProblem>& problems);

}  // namespace fathom::harness
