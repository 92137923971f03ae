// A database that is worked on in a local folder and copied back: `fathom run --db-local`.
//
// The lock of the database itself is held all the while, so nobody else writes to it. A process that is
// killed leaves its work in the folder; the next one takes it up from there.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "results/file_system.h"

namespace fathom::results {

class WriterLock;

class LocalCopy {
 public:
  /// Copies `database` (which need not exist yet) into `folder` and takes in what a killed process left
  /// there. Throws Error{kBadInput}: a second writer, a folder that is missing or itself on a network file
  /// system, no space.
  LocalCopy(std::filesystem::path database, const std::filesystem::path& folder, std::string app_version,
            FileSystemProbe probe = &probe_file_system);
  /// Without copy_back() the work stays in the folder.
  ~LocalCopy();
  LocalCopy(const LocalCopy&) = delete;
  LocalCopy& operator=(const LocalCopy&) = delete;

  /// The copy, to be opened with Store::open_for_writing.
  const std::filesystem::path& path() const { return local_; }

  /// Replaces the database's content by the copy's in one transaction and removes the copy, which nobody may
  /// have open.
  void copy_back();

 private:
  std::filesystem::path database_;
  std::filesystem::path local_;
  std::string app_version_;
  FileSystemProbe probe_;
  std::unique_ptr<WriterLock> lock_;
};

}  // namespace fathom::results
