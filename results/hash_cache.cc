#include "results/hash_cache.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

namespace fathom::results {
namespace {

using nlohmann::json;

constexpr int64_t kRacyNs = 2'000'000'000;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

Sha256Digest digest_of_hex(const std::string& hex) {
  Sha256Digest digest;
  if (hex.size() != 2 * digest.size()) bad_input({}, "a hash of {} digits", hex.size());
  for (size_t i = 0; i < digest.size(); ++i) {
    const int high = hex_value(hex[2 * i]);
    const int low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) bad_input({}, "a hash that is not hexadecimal");
    digest[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return digest;
}

}  // namespace

HashCache::HashCache(std::filesystem::path path) : path_(std::move(path)) {
  if (path_.empty() || !std::filesystem::exists(path_)) return;
  try {
    entries_ = load(path_);
  } catch (const std::exception& error) {
    std::fprintf(stderr,
                 "fathom: warning: %s: ignoring this cache of file hashes (%s); files are hashed again\n",
                 path_.c_str(), error.what());
  }
}

std::map<std::string, HashCache::Entry> HashCache::load(const std::filesystem::path& path) {
  std::map<std::string, Entry> entries;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    const json object = json::parse(line);
    entries[object.at("path").get<std::string>()] = {
        .size_bytes = object.at("size_bytes").get<int64_t>(),
        .mtime_ns = object.at("mtime_ns").get<int64_t>(),
        .inode = object.at("inode").get<uint64_t>(),
        .sha256 = digest_of_hex(object.at("sha256").get<std::string>())};
  }
  return entries;
}

std::optional<Sha256Digest> HashCache::find(const std::string& absolute_path, const WeightFile& file) const {
  const auto found = entries_.find(absolute_path);
  if (found == entries_.end()) return std::nullopt;
  const Entry& entry = found->second;
  if (entry.size_bytes != file.size_bytes || entry.mtime_ns != file.mtime_ns || entry.inode != file.inode) {
    return std::nullopt;
  }
  return entry.sha256;
}

void HashCache::add(const std::string& absolute_path, const WeightFile& file, const Sha256Digest& sha256,
                    int64_t reading_began_us) {
  if (path_.empty() || reading_began_us * 1000 - file.mtime_ns < kRacyNs) return;
  entries_[absolute_path] = {file.size_bytes, file.mtime_ns, file.inode, sha256};
  save();
}

void HashCache::save() const {
  std::string text;
  for (const auto& [path, entry] : entries_) {
    text += json{{"path", path},
                 {"size_bytes", entry.size_bytes},
                 {"mtime_ns", entry.mtime_ns},
                 {"inode", entry.inode},
                 {"sha256", to_hex(entry.sha256)}}
                .dump(-1, ' ', false, json::error_handler_t::replace) +
            "\n";
  }
  try {
    std::filesystem::create_directories(path_.parent_path());
    write_file_atomically(path_, text);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fathom: warning: %s: cannot remember file hashes (%s)\n", path_.c_str(),
                 error.what());
  }
}

}  // namespace fathom::results
