#include "harness/data/archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <map>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace fathom::harness {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kMaxFileBytes = int64_t{64} << 20;  // of a file whose size is not pinned
constexpr size_t kReadBytes = size_t{1} << 16;

class TarReader {
 public:
  explicit TarReader(const fs::path& path) : path_(path), archive_(archive_read_new(), &archive_read_free) {
    FATHOM_CHECK(archive_ != nullptr);
    // Tar alone: fewer formats, less code that reads untrusted bytes.
    FATHOM_CHECK(archive_read_support_format_tar(archive_.get()) == ARCHIVE_OK);
    if (archive_read_open_filename(archive_.get(), path.c_str(), kReadBytes) != ARCHIVE_OK) fail();
  }

  /// The next entry, or null at the end.
  archive_entry* next() {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(archive_.get(), &entry);
    if (status == ARCHIVE_EOF) return nullptr;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) fail();
    return entry;
  }

  /// The content of the entry last returned, `max_bytes` and one more at most.
  std::string content(int64_t max_bytes) {
    std::string content;
    std::string buffer(kReadBytes, '\0');
    while (std::ssize(content) <= max_bytes) {
      const la_ssize_t n = archive_read_data(archive_.get(), buffer.data(), buffer.size());
      if (n < 0) fail();
      if (n == 0) break;
      content.append(buffer, 0, static_cast<size_t>(n));
    }
    return content;
  }

 private:
  [[noreturn]] void fail() {
    const char* why = archive_error_string(archive_.get());
    bad_input(path_.string(), "is not a whole tar archive ({})", why != nullptr ? why : "no reason given");
  }

  fs::path path_;
  std::unique_ptr<archive, decltype(&archive_read_free)> archive_;
};

// "./data/x" and "data/x" are the same name.
std::string_view plain_name(const char* name) {
  std::string_view plain = name == nullptr ? "" : name;
  while (plain.starts_with("./")) plain.remove_prefix(2);
  return plain;
}

void unpack_entry(TarReader& tar, archive_entry* entry, const DataFile& file, const fs::path& target,
                  const std::string& where) {
  if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
    bad_input(where, "is not a regular file");
  }
  const int64_t max_bytes = file.bytes >= 0 ? file.bytes : kMaxFileBytes;
  const std::string content = tar.content(max_bytes);
  if (std::ssize(content) > max_bytes || (file.bytes >= 0 && std::ssize(content) != file.bytes)) {
    bad_input(where, "has {} bytes, expected {}{}", archive_entry_size(entry),
              file.bytes >= 0 ? "" : "at most ", max_bytes);
  }
  fs::create_directories((target / file.path).parent_path());
  FileWriter writer(target / file.path);
  writer.append(content);
  writer.finish();
}

}  // namespace

void unpack_files(const fs::path& archive, const std::string& archive_folder,
                  std::span<const DataFile> wanted, const fs::path& target) {
  std::map<std::string, const DataFile*, std::less<>> missing;
  for (const DataFile& file : wanted) missing.emplace(archive_folder + file.path, &file);
  std::map<std::string, const DataFile*, std::less<>> seen;
  TarReader tar(archive);
  while (archive_entry* entry = tar.next()) {
    const std::string_view name = plain_name(archive_entry_pathname(entry));
    const std::string where = fmt::format("{}: {}", archive.string(), name);
    if (seen.contains(name)) bad_input(where, "occurs twice");
    const auto found = missing.find(name);
    if (found == missing.end()) continue;
    unpack_entry(tar, entry, *found->second, target, where);
    seen.insert(missing.extract(found));
  }
  if (missing.empty()) return;
  bad_input(archive.string(), "lacks {} ({} of {} files are missing)", missing.begin()->first, missing.size(),
            wanted.size());
}

}  // namespace fathom::harness
