#include "harness/data/cache.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"

namespace fathom::harness {
namespace fs = std::filesystem;
namespace {

constexpr const char* kRecordName = "fathom-dataset.json";

bool is_pinned(const DataFile& file) {
  return !file.sha256.empty();
}

std::optional<FileProblem> check_size(const fs::path& folder, const DataFile& file) {
  std::error_code error;
  const fs::path path = folder / file.path;
  if (!fs::is_regular_file(path, error)) return FileProblem{file.path, "is missing"};
  const auto bytes = static_cast<int64_t>(fs::file_size(path));
  if (file.bytes < 0 || bytes == file.bytes) return std::nullopt;
  return FileProblem{file.path, fmt::format("has {} bytes, expected {}", bytes, file.bytes)};
}

std::optional<FileProblem> check_file(const fs::path& folder, const DataFile& file) {
  if (std::optional<FileProblem> problem = check_size(folder, file)) return problem;
  if (!is_pinned(file)) return std::nullopt;
  const std::string found = to_hex(sha256_file(folder / file.path));
  if (found == file.sha256) return std::nullopt;
  return FileProblem{file.path, fmt::format("has SHA-256 {}, expected {}", found, file.sha256)};
}

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
}

void sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) bad_input(folder.string(), "cannot open: {}", std::strerror(errno));
  const int failed = ::fsync(fd);
  ::close(fd);
  if (failed != 0) bad_input(folder.string(), "cannot flush: {}", std::strerror(errno));
}

[[noreturn]] void cannot_move(const fs::path& target) {
  bad_input(target.string(), "cannot move the finished data set into place: {}", std::strerror(errno));
}

// Moves `partial` to `target`, which may be an older folder: then both change places at once and the old one,
// now under the partial name, is removed. A file system that cannot exchange (NFS) gets two renames.
void move_into_place(const fs::path& partial, const fs::path& target) {
  if (::rename(partial.c_str(), target.c_str()) == 0) return;
  if (errno != ENOTEMPTY && errno != EEXIST) cannot_move(target);
  if (::renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(partial);
    return;
  }
  if (errno != EINVAL) cannot_move(target);
  const fs::path old = partial.string() + ".old";
  fs::remove_all(old);
  if (::rename(target.c_str(), old.c_str()) != 0) cannot_move(target);
  if (::rename(partial.c_str(), target.c_str()) != 0) cannot_move(target);
  fs::remove_all(old);
}

std::vector<DataFile> hashes_of(const fs::path& folder, const std::vector<DataFile>& files) {
  std::vector<DataFile> hashed;
  for (const DataFile& file : files) {
    const fs::path path = folder / file.path;
    hashed.push_back({file.path, static_cast<int64_t>(fs::file_size(path)), to_hex(sha256_file(path))});
  }
  return hashed;
}

bool is_wholly_pinned(const Dataset& set) {
  return std::all_of(set.files.begin(), set.files.end(), is_pinned);
}

// What the files must be: pinned, else as the first import recorded them.
std::vector<DataFile> expectation(const Dataset& set, const std::optional<DatasetRecord>& record) {
  std::vector<DataFile> expected = set.files;
  if (!record) return expected;
  for (DataFile& file : expected) {
    for (const DataFile& recorded : record->files) {
      if (!is_pinned(file) && recorded.path == file.path) file = recorded;
    }
  }
  return expected;
}

const fs::path& made_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) bad_input(folder.string(), "cannot create the folder for data sets: {}", error.message());
  return folder;
}

std::string record_text(const Dataset& set, const DatasetRecord& record) {
  nlohmann::json files = nlohmann::json::array();
  for (const DataFile& file : record.files) {
    files.push_back({{"path", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  const nlohmann::json json = {
      {"name", set.name}, {"source", record.source}, {"installed_at", record.installed_at}, {"files", files}};
  return json.dump(1) + "\n";
}

}  // namespace

std::string_view dataset_state_name(DatasetState state) {
  switch (state) {
    case DatasetState::kAbsent:
      return "absent";
    case DatasetState::kReady:
      return "ready";
    case DatasetState::kDamaged:
      return "damaged";
  }
  FATHOM_CHECK(false, "state {}", static_cast<int>(state));
}

std::vector<FileProblem> check_files(const fs::path& folder, const std::vector<DataFile>& expected) {
  std::vector<FileProblem> problems;
  for (const DataFile& file : expected) {
    if (std::optional<FileProblem> problem = check_file(folder, file))
      problems.push_back(*std::move(problem));
  }
  return problems;
}

std::string describe(const std::vector<FileProblem>& problems) {
  FATHOM_CHECK(!problems.empty());
  std::string text = problems[0].path + " " + problems[0].what;
  if (problems.size() > 1) text += fmt::format(" (and {} more files are wrong)", problems.size() - 1);
  return text;
}

std::optional<DatasetRecord> DatasetCache::record(const Dataset& set) const {
  const fs::path path = folder(set) / kRecordName;
  if (!fs::exists(path)) return std::nullopt;
  try {
    const nlohmann::json json = nlohmann::json::parse(read_file(path));
    DatasetRecord record{.source = json.at("source"), .installed_at = json.at("installed_at"), .files = {}};
    for (const auto& file : json.at("files")) {
      record.files.push_back({file.at("path"), file.at("bytes"), file.at("sha256")});
    }
    return record;
  } catch (const nlohmann::json::exception& error) {
    bad_input(path.string(),
              "is not a record that fathom wrote ({}); remove the folder and fetch or import again",
              error.what());
  }
}

DatasetState DatasetCache::state(const Dataset& set) const {
  std::optional<DatasetRecord> known;
  try {
    known = record(set);
  } catch (const Error&) {
    return DatasetState::kDamaged;
  }
  if (!known) return DatasetState::kAbsent;
  for (const DataFile& file : expectation(set, known)) {
    if (check_size(folder(set), file)) return DatasetState::kDamaged;
  }
  return DatasetState::kReady;
}

std::vector<FileProblem> DatasetCache::verify(const Dataset& set) const {
  const std::optional<DatasetRecord> known = record(set);
  if (!known) bad_input(folder(set).string(), "the data set {} is not here", set.name);
  return check_files(folder(set), expectation(set, known));
}

DatasetInstall::DatasetInstall(const DatasetCache& cache, const Dataset& set)
    : cache_(cache),
      set_(set),
      partial_(cache.root_ / ("." + set.name + ".partial")),
      lock_(made_folder(cache.root_) / ("." + set.name + ".lock"), "fetching or importing " + set.name) {
  const fs::path target = cache.folder(set);
  if (fs::exists(target) && !fs::exists(target / kRecordName)) {
    bad_input(target.string(),
              "is in the way: it has no {}, so fathom did not write it. Move it elsewhere, or use it "
              "in place with --data {}",
              kRecordName, cache.root_.string());
  }
  std::error_code error;
  fs::remove_all(partial_, error);
  if (!error) fs::create_directory(partial_, error);
  if (error) bad_input(partial_.string(), "cannot create: {}", error.message());
}

DatasetInstall::~DatasetInstall() {
  std::error_code ignored;
  fs::remove_all(partial_, ignored);
}

DatasetRecord DatasetInstall::commit(const std::string& source) {
  // A wholly pinned set needs no record of the past, which may be the thing that is broken.
  std::optional<DatasetRecord> first;
  if (!is_wholly_pinned(set_)) first = cache_.record(set_);
  const std::vector<FileProblem> problems = check_files(partial_, expectation(set_, first));
  if (!problems.empty()) {
    const std::string known = first
                                  ? fmt::format("the one first imported on {} (remove {} to accept another)",
                                                first->installed_at, cache_.folder(set_).string())
                                  : "the one fathom knows";
    bad_input(source, "{}; nothing was kept. The file is damaged, or {} comes in another version than {}",
              describe(problems), set_.name, known);
  }
  DatasetRecord record{.source = source, .installed_at = now_utc(), .files = hashes_of(partial_, set_.files)};
  write_file_atomically(partial_ / kRecordName, record_text(set_, record));
  sync_folder(partial_);
  move_into_place(partial_, cache_.folder(set_));
  sync_folder(cache_.root_);
  return record;
}

}  // namespace fathom::harness
