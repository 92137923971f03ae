// Unpacks the files of a data set from a tar archive.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "harness/data/dataset.h"

namespace fathom::harness {

/// Writes those of `wanted` that `archive` holds as `archive_folder` + DataFile::path to `target` / path.
/// Everything else in the archive is passed over, and no name or link in it ever becomes a path here, so a
/// hostile archive can neither write elsewhere nor more than is wanted. Throws Error{kBadInput} for a file
/// that is no tar archive, or in which a wanted entry is missing, occurs twice, is not a regular file or has
/// another size than is known for it.
void unpack_files(const std::filesystem::path& archive, const std::string& archive_folder,
                  std::span<const DataFile> wanted, const std::filesystem::path& target);

}  // namespace fathom::harness
