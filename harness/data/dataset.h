// Dataset: what fathom knows about a public data set: where it comes from, its files, and what their bytes
// must hash to. registry.h has the table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fathom::harness {

/// One file of a data set, by its path inside the set's folder.
struct DataFile {
  std::string path;      ///< "dev/anatomy_dev.csv"
  int64_t bytes = -1;    ///< -1 where sha256 is empty
  std::string sha256{};  ///< 64 hexadecimal digits; empty: not pinned, the first import decides
};

/// One file at the source.
struct DataDownload {
  std::string name;  ///< below the source URL; "data.tar"
  /// Where the set's files lie inside a tar archive ("data/"); unused for a plain file.
  std::string archive_folder{};
  bool is_archive() const { return name.ends_with(".tar"); }
};

struct Dataset {
  std::string name;     ///< "mmlu": also the name of its folder
  std::string title;    ///< one line
  std::string licence;  ///< SPDX identifier
  std::string rows;     ///< "14,042 test, 285 dev"
  std::string source;   ///< https URL of the folder with `downloads`, without a slash at the end
  std::vector<DataDownload> downloads;
  std::vector<DataFile> files;
  std::vector<std::string>
      import_folders;  ///< where a local copy may lie below the folder given; "" is that folder
  /// The set is taken to be in a folder when one of these exists there. Weaker than `files`, so that a part
  /// of a set, or rows of one's own, can stand in for it under --data.
  std::vector<std::string> markers;
  int64_t max_download_bytes = 0;  ///< no file at the source is larger
};

}  // namespace fathom::harness
