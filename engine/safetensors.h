// safetensors: a memory-mapped reader that trusts nothing in the file.
//
//   u64 (little-endian) N | N bytes of JSON | data
//   JSON: {"name": {"dtype": "BF16", "shape": [a, b], "data_offsets": [begin, end)}, ..., "__metadata__":
//   {...}}
//
// Offsets count from the first data byte. As in the reference implementation the tensors tile the data
// exactly: no overlap, no hole, nothing left over. Reading maps the file and parses the header; no tensor
// byte is touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace fathom::engine {

struct SafetensorsEntry {
  std::string name;
  std::string_view dtype;           // the format's name, static: "BF16"
  std::vector<int64_t> shape;       // empty for a scalar
  std::span<const std::byte> data;  // exactly the bytes that dtype and shape ask for; any alignment
};

/// The tensors of a whole safetensors file in memory, in the order of their data. The entries view `file`.
/// Throws Error{kBadInput} naming `where` and the tensor, what was expected and found.
std::vector<SafetensorsEntry> parse_safetensors(std::span<const std::byte> file, const std::string& where);

/// A mapped file and its tensors. Move-only; the entries' bytes live as long as the object.
class SafetensorsFile {
 public:
  /// Throws Error{kBadInput}.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return map_.path(); }
  size_t size_bytes() const { return map_.bytes().size(); }
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }

 private:
  MappedFile map_;
  std::vector<SafetensorsEntry> entries_;
};

/// "[102400, 2048]"
std::string shape_text(std::span<const int64_t> shape);

}  // namespace fathom::engine
