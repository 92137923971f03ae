#include "harness/data/download.h"

#include <curl/curl.h>

#include <chrono>
#include <cmath>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"

namespace fathom::harness {
namespace {

constexpr int64_t kKilobyte = 1000;
constexpr int64_t kStalledBytesPerSecond = 1 * kKilobyte;

using Clock = std::chrono::steady_clock;

// Whether a transfer still moves. (libcurl's own low-speed limit averages over five seconds more than it is
// told.)
class StallWatch {
 public:
  explicit StallWatch(double stall_s) : stall_s_(stall_s), since_(Clock::now()) {}

  /// True when the last `stall_s` brought less than kStalledBytesPerSecond.
  bool stalled(int64_t received_bytes) {
    const double elapsed_s = std::chrono::duration<double>(Clock::now() - since_).count();
    if (elapsed_s < stall_s_) return false;
    if (static_cast<double>(received_bytes - received_then_) < kStalledBytesPerSecond * elapsed_s)
      return true;
    since_ = Clock::now();
    received_then_ = received_bytes;
    return false;
  }

 private:
  double stall_s_;
  Clock::time_point since_;
  int64_t received_then_ = 0;
};

// State of one transfer, for libcurl's callbacks. No exception may cross libcurl, so a failed write is kept
// here and thrown afterwards.
struct Transfer {
  FileWriter file;
  std::string what;
  int64_t max_bytes;
  StallWatch watch;
  int64_t received_bytes = 0;
  bool too_large = false;
  bool stalled = false;
  std::exception_ptr failure{};
  std::optional<Progress> progress{};
};

size_t on_body(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const size_t bytes = size * count;
  transfer.received_bytes += static_cast<int64_t>(bytes);
  transfer.too_large = transfer.received_bytes > transfer.max_bytes;
  if (transfer.too_large) return CURL_WRITEFUNC_ERROR;
  try {
    transfer.file.append({data, bytes});
  } catch (...) {
    transfer.failure = std::current_exception();
    return CURL_WRITEFUNC_ERROR;
  }
  return bytes;
}

int on_progress(void* user, curl_off_t total, curl_off_t done, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  transfer.stalled = transfer.watch.stalled(transfer.received_bytes);
  if (transfer.stalled) return 1;
  if (total <= 0 || done <= 0) return 0;  // headers, or a length that the server does not tell
  if (!transfer.progress) transfer.progress.emplace(transfer.what, "KB", (total + kKilobyte - 1) / kKilobyte);
  // Complete only once the transfer is: download_file() draws the last line.
  if (done < total) transfer.progress->update(done / kKilobyte);
  return 0;
}

struct CurlHandle {
  CURL* curl = nullptr;
  CurlHandle() {
    static std::once_flag once;
    std::call_once(once, [] { FATHOM_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
    curl = curl_easy_init();
    FATHOM_CHECK(curl != nullptr);
  }
  ~CurlHandle() { curl_easy_cleanup(curl); }
  CurlHandle(const CurlHandle&) = delete;
  CurlHandle& operator=(const CurlHandle&) = delete;

  template <typename Value>
  void set(CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(curl, option, value);
    if (code != CURLE_OK) {
      throw Error(ErrorKind::kEnvironment, fmt::format("libcurl does not take option {}: {}",
                                                       static_cast<int>(option), curl_easy_strerror(code)));
    }
  }
};

void configure(CurlHandle& handle, const std::string& url, const DownloadOptions& options, Transfer& transfer,
               char* error_text) {
  handle.set(CURLOPT_URL, url.c_str());
  handle.set(CURLOPT_PROTOCOLS_STR, "https");
  handle.set(CURLOPT_REDIR_PROTOCOLS_STR, "https");
  handle.set(CURLOPT_FOLLOWLOCATION, 1L);
  handle.set(CURLOPT_MAXREDIRS, 5L);
  handle.set(CURLOPT_SSL_VERIFYPEER, 1L);
  handle.set(CURLOPT_SSL_VERIFYHOST, 2L);
  if (!options.ca_file.empty()) {
    handle.set(CURLOPT_CAINFO, options.ca_file.c_str());
    handle.set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
  }
  handle.set(CURLOPT_FAILONERROR, 1L);
  handle.set(CURLOPT_CONNECTTIMEOUT_MS, std::lround(1000 * options.stall_s));
  handle.set(CURLOPT_NOSIGNAL, 1L);
  handle.set(CURLOPT_USERAGENT, "fathom");
  handle.set(CURLOPT_ERRORBUFFER, error_text);
  handle.set(CURLOPT_WRITEFUNCTION, on_body);
  handle.set(CURLOPT_WRITEDATA, &transfer);
  handle.set(CURLOPT_XFERINFOFUNCTION, on_progress);
  handle.set(CURLOPT_XFERINFODATA, &transfer);
  handle.set(CURLOPT_NOPROGRESS, 0L);
}

std::string explanation(CURL* curl, CURLcode code, const char* error_text, const DownloadOptions& options) {
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  switch (code) {
    case CURLE_HTTP_RETURNED_ERROR:
      return fmt::format("the server answered {}; expected the file", status);
    case CURLE_OPERATION_TIMEDOUT:
      return fmt::format("no connection for {:g} s", options.stall_s);
    case CURLE_UNSUPPORTED_PROTOCOL:
      return "redirected to an address that is not https; refused";
    case CURLE_PARTIAL_FILE:
      return "the connection ended before the whole file was there";
    default:
      return *error_text != '\0' ? error_text : curl_easy_strerror(code);
  }
}

}  // namespace

void download_file(const std::string& url, const std::filesystem::path& path, const std::string& what,
                   const DownloadOptions& options) {
  if (!url.starts_with("https://")) {
    throw Error(ErrorKind::kUsage, "expected a URL that begins with https://", url);
  }
  CurlHandle handle;
  Transfer transfer{.file = FileWriter(path),
                    .what = what,
                    .max_bytes = options.max_bytes,
                    .watch = StallWatch(options.stall_s)};
  char error_text[CURL_ERROR_SIZE] = "";
  configure(handle, url, options, transfer, error_text);
  const CURLcode code = curl_easy_perform(handle.curl);
  if (transfer.failure) std::rethrow_exception(transfer.failure);
  if (transfer.stalled) {
    throw Error(ErrorKind::kEnvironment,
                fmt::format("less than {} bytes/s for {:g} s", kStalledBytesPerSecond, options.stall_s), url);
  }
  if (transfer.too_large) {
    throw Error(ErrorKind::kEnvironment,
                fmt::format("sent more than {} bytes, the limit for {}", options.max_bytes, what), url);
  }
  if (code != CURLE_OK) {
    throw Error(ErrorKind::kEnvironment, explanation(handle.curl, code, error_text, options), url);
  }
  transfer.file.finish();
  if (transfer.progress) transfer.progress->update((transfer.received_bytes + kKilobyte - 1) / kKilobyte);
}

}  // namespace fathom::harness
