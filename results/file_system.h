// Which kind of file system a database lies on: SQLite's write-ahead log needs memory shared between
// processes of one machine, which a network file system does not give, and its locks are often not to be
// trusted there.
#pragma once

#include <filesystem>
#include <string>

namespace fathom::results {

struct FileSystemInfo {
  bool network = false;
  std::string name;  ///< "NFS", for messages; empty for a local one
};

/// Tests put their own function in its place.
using FileSystemProbe = FileSystemInfo (*)(const std::filesystem::path& path);

/// The file system of `path`, or of its folder when the file is not there yet.
FileSystemInfo probe_file_system(const std::filesystem::path& path);

}  // namespace fathom::results
