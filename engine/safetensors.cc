#include "engine/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"
#include "base/json.h"

namespace fathom::engine {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tensor data is little-endian and used where it lies");

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's limit
constexpr size_t kLengthBytes = sizeof(uint64_t);
constexpr size_t kMaxRank = 32;

struct SafetensorsDtype {
  std::string_view name;
  uint64_t bits;
};
constexpr SafetensorsDtype kDtypes[] = {
    {"BF16", 16},   {"F16", 16},        {"F32", 32},        {"F64", 64},    {"F8_E4M3", 8}, {"F8_E5M2", 8},
    {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},
    {"C64", 64},    {"BOOL", 8},        {"I8", 8},          {"U8", 8},      {"I16", 16},    {"U16", 16},
    {"I32", 32},    {"U32", 32},        {"I64", 64},        {"U64", 64},
};

// One tensor as the header spells it, before any check.
struct RawEntry {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> shape;
  std::vector<uint64_t> offsets;
};

// Streams the header into RawEntries: no JSON tree is built, since headers hold tens of thousands of tensors.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const std::string& where) : where_(where) {}
  std::vector<RawEntry> entries;

  bool null() override { return refuse_value("null"); }
  bool boolean(bool) override { return refuse_value("a boolean"); }
  bool number_integer(int64_t value) override { return refuse_value(std::to_string(value)); }
  bool number_float(double, const std::string& text) override { return refuse_value(text); }
  bool binary(binary_t&) override { return refuse_value("binary"); }

  bool number_unsigned(uint64_t value) override {
    if (state_ == State::kShape) {
      if (entries.back().shape.size() == kMaxRank) fail("more than {} dimensions", kMaxRank);
      entries.back().shape.push_back(value);
    } else if (state_ == State::kOffsets) {
      if (entries.back().offsets.size() == 2) fail("data_offsets has more than two numbers");
      entries.back().offsets.push_back(value);
    } else {
      return refuse_value(std::to_string(value));
    }
    return true;
  }

  bool string(std::string& value) override {
    if (state_ == State::kMetadata) return true;
    if (state_ != State::kTensor || key_ != "dtype") return refuse_value(json_quoted(value));
    entries.back().dtype = std::move(value);
    return true;
  }

  bool start_object(size_t) override {
    if (state_ == State::kStart) {
      state_ = State::kTop;
    } else if (state_ == State::kTop) {
      state_ = key_ == "__metadata__" ? State::kMetadata : State::kTensor;
      if (state_ == State::kTensor) begin_tensor();
    } else {
      return refuse_value("an object");
    }
    return true;
  }

  bool end_object() override {
    if (state_ == State::kTensor && fields_.size() != 3)
      fail("expected dtype, shape and data_offsets; one is missing");
    state_ = state_ == State::kTop ? State::kEnd : State::kTop;
    return true;
  }

  bool key(std::string& value) override {
    key_ = std::move(value);
    if (state_ == State::kTensor) {
      if (key_ != "dtype" && key_ != "shape" && key_ != "data_offsets") {
        fail("unknown key {}; expected dtype, shape, data_offsets", json_quoted(key_));
      }
      if (std::find(fields_.begin(), fields_.end(), key_) != fields_.end())
        fail("key \"{}\" appears twice", key_);
      fields_.push_back(key_);
    }
    return true;
  }

  bool start_array(size_t) override {
    if (state_ != State::kTensor || key_ == "dtype") return refuse_value("an array");
    state_ = key_ == "shape" ? State::kShape : State::kOffsets;
    return true;
  }

  bool end_array() override {
    if (state_ == State::kOffsets && entries.back().offsets.size() != 2)
      fail("data_offsets needs two numbers");
    state_ = State::kTensor;
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::json::exception& error) override {
    bad_input(where_, "the header is not valid JSON ({})", error.what());
  }

 private:
  enum class State { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };

  void begin_tensor() {
    entries.emplace_back();
    entries.back().name = key_;
    fields_.clear();
  }

  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
    const std::string message = fmt::format(format, std::forward<Args>(args)...);
    bad_input(where_, "header, tensor {}: {}", json_quoted(entries.empty() ? "" : entries.back().name),
              message);
  }

  bool refuse_value(const std::string& found) {
    if (state_ == State::kStart) bad_input(where_, "header: expected a JSON object, found {}", found);
    if (state_ == State::kTop)
      bad_input(where_, "header, key {}: expected an object, found {}", json_quoted(key_), found);
    if (state_ == State::kMetadata) {
      bad_input(where_, "header, __metadata__ key {}: expected a string, found {}", json_quoted(key_), found);
    }
    fail("{}: expected {}, found {}", key_, key_ == "dtype" ? "a string" : "non-negative integers", found);
  }

  std::string where_;
  State state_ = State::kStart;
  std::string key_;
  std::vector<std::string> fields_;
};

std::string_view header_of(std::span<const std::byte> file, const std::string& where) {
  uint64_t length = 0;
  if (file.size() < kLengthBytes) {
    bad_input(where, "expected a safetensors file (8 bytes of header length first), found {} bytes",
              file.size());
  }
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > kMaxHeaderBytes) {
    bad_input(where, "expected a safetensors header of at most {} bytes, found a length of {}",
              kMaxHeaderBytes, length);
  }
  if (length > file.size() - kLengthBytes) {
    bad_input(where, "the header says it has {} bytes, the file has only {} after its length: truncated?",
              length, file.size() - kLengthBytes);
  }
  return {reinterpret_cast<const char*>(file.data()) + kLengthBytes, static_cast<size_t>(length)};
}

const SafetensorsDtype& find_dtype(const RawEntry& raw, const std::string& where) {
  for (const SafetensorsDtype& dtype : kDtypes) {
    if (dtype.name == raw.dtype) return dtype;
  }
  bad_input(where, "tensor {}: unknown dtype {}; expected a safetensors dtype such as BF16, F16 or F32",
            json_quoted(raw.name), json_quoted(raw.dtype));
}

// Bytes that dtype and shape ask for. Throws when they do not fit int64.
uint64_t expected_bytes(const RawEntry& raw, const SafetensorsDtype& dtype, const std::string& where) {
  uint64_t bits = dtype.bits;
  for (uint64_t dimension : raw.shape) {
    if (__builtin_mul_overflow(bits, dimension, &bits) || dimension > INT64_MAX) {
      bad_input(where, "tensor {}: the product of shape [{}] and {} overflows", json_quoted(raw.name),
                fmt::join(raw.shape, ", "), dtype.name);
    }
  }
  if (bits % 8 != 0) {
    bad_input(where, "tensor {}: shape [{}] of {} is not a whole number of bytes", json_quoted(raw.name),
              fmt::join(raw.shape, ", "), dtype.name);
  }
  return bits / 8;
}

// Checks one tensor against the data section and turns it into a view.
SafetensorsEntry check_entry(RawEntry&& raw, std::span<const std::byte> data, const std::string& where) {
  const SafetensorsDtype& dtype = find_dtype(raw, where);
  const uint64_t bytes = expected_bytes(raw, dtype, where);
  const uint64_t begin = raw.offsets[0];
  const uint64_t end = raw.offsets[1];
  if (begin > end || end > data.size()) {
    bad_input(where, "tensor {}: data_offsets [{}, {}) do not lie in the file's {} data bytes: truncated?",
              json_quoted(raw.name), begin, end, data.size());
  }
  if (end - begin != bytes) {
    bad_input(where, "tensor {}: expected {} bytes for {} [{}], found data_offsets [{}, {}) of {} bytes",
              json_quoted(raw.name), bytes, dtype.name, fmt::join(raw.shape, ", "), begin, end, end - begin);
  }
  SafetensorsEntry entry{
      .name = std::move(raw.name), .dtype = dtype.name, .shape = {}, .data = data.subspan(begin, bytes)};
  entry.shape.assign(raw.shape.begin(), raw.shape.end());
  return entry;
}

// Sorts by position and requires that the tensors tile the data section.
void check_tiling(std::vector<SafetensorsEntry>& entries, std::span<const std::byte> data,
                  const std::string& where) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::pair(a.data.data(), a.data.size()) < std::pair(b.data.data(), b.data.size());
  });
  uint64_t covered = 0;
  std::string_view previous;
  for (const SafetensorsEntry& entry : entries) {
    const auto begin = static_cast<uint64_t>(entry.data.data() - data.data());
    if (begin < covered) {
      bad_input(where, "tensor {}: begins at data byte {} and overlaps tensor {}, which ends at {}",
                json_quoted(entry.name), begin, json_quoted(previous), covered);
    }
    if (begin > covered) {
      bad_input(where, "tensor {}: begins at data byte {}, expected {}: the data has a hole",
                json_quoted(entry.name), begin, covered);
    }
    covered += entry.data.size();
    previous = entry.name;
  }
  if (covered != data.size()) {
    bad_input(where, "expected {} data bytes after the header, found {}: trailing bytes belong to no tensor",
              covered, data.size());
  }
}

void check_unique_names(const std::vector<SafetensorsEntry>& entries, const std::string& where) {
  std::unordered_set<std::string_view> names;
  names.reserve(entries.size());
  for (const SafetensorsEntry& entry : entries) {
    if (!names.insert(entry.name).second)
      bad_input(where, "tensor {} appears twice in the header", json_quoted(entry.name));
  }
}

}  // namespace

std::vector<SafetensorsEntry> parse_safetensors(std::span<const std::byte> file, const std::string& where) {
  const std::string_view header = header_of(file, where);
  HeaderReader reader(where);
  nlohmann::json::sax_parse(header, &reader);
  const std::span<const std::byte> data = file.subspan(kLengthBytes + header.size());
  std::vector<SafetensorsEntry> entries;
  entries.reserve(reader.entries.size());
  for (RawEntry& raw : reader.entries) entries.push_back(check_entry(std::move(raw), data, where));
  check_unique_names(entries, where);
  check_tiling(entries, data, where);
  return entries;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : map_(path), entries_(parse_safetensors(map_.bytes(), path.string())) {}

std::string shape_text(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace fathom::engine
