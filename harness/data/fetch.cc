#include "harness/data/fetch.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "harness/data/archive.h"

namespace fathom::harness {
namespace fs = std::filesystem;
namespace {

bool is_intact(const DatasetCache& cache, const Dataset& set) {
  return cache.state(set) == DatasetState::kReady && cache.verify(set).empty();
}

void copy_durably(const fs::path& from, const fs::path& to) {
  fs::create_directories(to.parent_path());
  FileWriter writer(to);
  writer.append(read_file(from));
  writer.finish();
}

void fetch_into(const fs::path& folder, const Dataset& set, const std::string& source,
                const FetchOptions& options) {
  for (const DataDownload& download : set.downloads) {
    const DownloadOptions download_options{
        .ca_file = options.ca_file, .max_bytes = set.max_download_bytes, .stall_s = options.stall_s};
    const fs::path path = folder / download.name;
    download_file(source + "/" + download.name, path, set.name + "/" + download.name, download_options);
    if (!download.is_archive()) continue;
    unpack_files(path, download.archive_folder, set.files, folder);
    fs::remove(path);
  }
}

}  // namespace

InstallResult fetch_dataset(const DatasetCache& cache, const Dataset& set, const FetchOptions& options) {
  std::string source = options.source.empty() ? set.source : options.source;
  while (source.ends_with('/')) source.pop_back();
  DatasetInstall install(cache, set);
  if (is_intact(cache, set)) return InstallResult::kAlreadyThere;
  fetch_into(install.partial(), set, source, options);
  install.commit(source);
  return InstallResult::kInstalled;
}

std::optional<fs::path> find_local_copy(const Dataset& set, const fs::path& folder) {
  for (const std::string& below : set.import_folders) {
    const fs::path candidate = below.empty() ? folder : folder / below;
    const auto is_there = [&](const DataFile& file) { return fs::is_regular_file(candidate / file.path); };
    if (std::any_of(set.files.begin(), set.files.end(), is_there)) return candidate;
  }
  return std::nullopt;
}

InstallResult import_dataset(const DatasetCache& cache, const Dataset& set, const fs::path& folder) {
  DatasetInstall install(cache, set);
  if (is_intact(cache, set)) return InstallResult::kAlreadyThere;
  for (const DataFile& file : set.files) {
    // A missing file is left to commit(), which counts them all.
    if (fs::is_regular_file(folder / file.path))
      copy_durably(folder / file.path, install.partial() / file.path);
  }
  install.commit(fs::absolute(folder).lexically_normal().string());
  return InstallResult::kInstalled;
}

}  // namespace fathom::harness
