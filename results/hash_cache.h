// The cache file of hashes: JSON Lines {"path","size_bytes","mtime_ns","inode","sha256"}, one line a file.
//
// It only saves time: whatever is missing, damaged or out of date is hashed again. Rewritten as a whole and
// renamed into place, so two processes can lose each other's additions but never see half a file.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "results/records.h"

namespace fathom::results {

class HashCache {
 public:
  /// `path` may be empty or name no file. A damaged file is ignored with a line on standard error.
  explicit HashCache(std::filesystem::path path);

  /// The hash of the file at `absolute_path`, if it was cached and size, mtime and inode are still the same.
  std::optional<Sha256Digest> find(const std::string& absolute_path, const WeightFile& file) const;

  /// Remembers a hash and writes the cache file. A file that changed less than two seconds before its reading
  /// began is not remembered: another change might have left the same mtime. A cache that cannot be written
  /// is no error.
  void add(const std::string& absolute_path, const WeightFile& file, const Sha256Digest& sha256,
           int64_t reading_began_us);

 private:
  struct Entry {
    int64_t size_bytes = 0;
    int64_t mtime_ns = 0;
    uint64_t inode = 0;
    Sha256Digest sha256{};
  };
  static std::map<std::string, Entry> load(const std::filesystem::path& path);
  void save() const;

  std::filesystem::path path_;
  std::map<std::string, Entry> entries_;
};

}  // namespace fathom::results
