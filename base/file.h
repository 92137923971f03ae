// Files: whole-file reads, read-only memory maps and atomic writes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace fathom {

/// The bytes of a file. Throws Error{kBadInput} naming the path when it cannot be read.
std::string read_file(const std::filesystem::path& path);

/// Writes `content` to a temporary file beside `path`, flushes it to disk and renames it: readers see the old
/// file or the whole new one, never half of it. Throws Error{kBadInput}.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// Writes a new file piece by piece. finish() flushes it to disk; a writer that is destroyed without it
/// removes the file, so that nothing half-written stays behind an exception. Not thread-safe.
class FileWriter {
 public:
  /// Throws Error{kBadInput} when the file exists already or cannot be created.
  explicit FileWriter(const std::filesystem::path& path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  /// Throws Error{kBadInput} when the bytes cannot be written (a full disk, say).
  void append(std::string_view bytes);
  void finish();

 private:
  std::filesystem::path path_;
  int fd_;
};

/// A read-only map of a whole file. Move-only; the bytes live as long as the object.
class MappedFile {
 public:
  /// Throws Error{kBadInput} when the file cannot be opened or mapped. An empty file maps to an empty span.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::filesystem::path path_;
};

}  // namespace fathom
