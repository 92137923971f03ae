// SHA-256 (OpenSSL libcrypto): the identity of every file, prompt, data set and plan in fathom.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace fathom {

using Sha256Digest = std::array<uint8_t, 32>;

/// Streaming hash. Not thread-safe; one object hashes one message.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  /// Ends the message; the object must not be used afterwards.
  Sha256Digest finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Sha256Digest sha256(std::string_view text);
Sha256Digest sha256(std::span<const std::byte> bytes);
/// Hash of a file's bytes, read in pieces. Throws Error{kBadInput} when the file cannot be read.
Sha256Digest sha256_file(const std::filesystem::path& path);

/// 64 lower-case hexadecimal digits.
std::string to_hex(const Sha256Digest& digest);
/// The inverse of to_hex; nothing for a text that is no digest.
std::optional<Sha256Digest> digest_from_hex(std::string_view hex);

}  // namespace fathom
