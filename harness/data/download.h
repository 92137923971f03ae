// One file over HTTPS, into a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace fathom::harness {

struct DownloadOptions {
  std::string ca_file;    ///< PEM file of trusted authorities instead of the system's; empty: the system's
  int64_t max_bytes = 0;  ///< a longer body is an error
  double stall_s = 30.0;  ///< connecting may take this long, and so may any stretch below 1 KB/s
};

/// Downloads `url` into the new file `path`. TLS certificates are verified; redirects are followed to https
/// only, at most five. Progress goes to standard error under the name `what`. Throws Error{kUsage} for a URL
/// that is not https, Error{kEnvironment} for what the network or the server does, Error{kBadInput} when the
/// file cannot be written; then no file is left. The body is not checked here beyond its length.
void download_file(const std::string& url, const std::filesystem::path& path, const std::string& what,
                   const DownloadOptions& options);

}  // namespace fathom::harness
