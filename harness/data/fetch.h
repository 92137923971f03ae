// How data sets come into the cache: from their source over HTTPS, or from a local copy.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "harness/data/cache.h"
#include "harness/data/dataset.h"
#include "harness/data/download.h"

namespace fathom::harness {

struct FetchOptions {
  std::string source;   ///< URL of a mirror's folder; empty: Dataset::source
  std::string ca_file;  ///< see DownloadOptions
  double stall_s = 30.0;
};

enum class InstallResult {
  kInstalled,
  kAlreadyThere,  ///< every file of the set in the cache was hashed and is as it should be
};

/// Downloads `set`, checks it and puts it into `cache`. When it fails, the cache is as it was. Throws Error
/// as download_file, unpack_files and DatasetInstall do.
InstallResult fetch_dataset(const DatasetCache& cache, const Dataset& set, const FetchOptions& options);

/// Where `set` lies in or below `folder` (one of Dataset::import_folders); nothing when no file of it is
/// there.
std::optional<std::filesystem::path> find_local_copy(const Dataset& set, const std::filesystem::path& folder);

/// Copies `set` from `folder` (as find_local_copy returned it), checks it and puts it into `cache`.
InstallResult import_dataset(const DatasetCache& cache, const Dataset& set,
                             const std::filesystem::path& folder);

}  // namespace fathom::harness
