// Fetching over TLS from a server on loopback, and everything that a network, a server or a disk can do to
// it.
#include "harness/data/fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "tests/harness/tls_server.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const std::string kFirst(50'000, 'a');
const std::string kSecond = "second\n";

DataFile pinned(const std::string& path, const std::string& content) {
  return {path, static_cast<int64_t>(content.size()), to_hex(sha256(content))};
}

Dataset small_set() {
  Dataset set;
  set.name = "small";
  set.downloads = {{.name = "first.txt"}, {.name = "second.txt"}};
  set.files = {pinned("first.txt", kFirst), pinned("second.txt", kSecond)};
  set.import_folders = {""};
  set.max_download_bytes = 1'000'000;
  return set;
}

class DataFetch : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    served_ = std::make_unique<testing::TemporaryFolder>();
    server_ = std::make_unique<TlsServer>(served_->path());
    write_file_atomically(*served_ / "first.txt", kFirst);
    write_file_atomically(*served_ / "second.txt", kSecond);
  }
  static void TearDownTestSuite() {
    server_.reset();
    served_.reset();
  }

  FetchOptions from(const std::string& behaviour) const {
    return {.source = server_->url(behaviour), .ca_file = server_->ca_file(), .stall_s = 30};
  }

  // The error of a fetch that must fail, and must leave nothing but the lock behind.
  Error failure(const FetchOptions& options, const Dataset& set = small_set()) const {
    const DatasetCache cache(root_);
    try {
      fetch_dataset(cache, set, options);
    } catch (const Error& error) {
      EXPECT_EQ(cache.state(set), DatasetState::kAbsent);
      for (const auto& entry : fs::directory_iterator(root_))
        EXPECT_EQ(entry.path().filename(), ".small.lock");
      return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return Error(ErrorKind::kUsage, "");
  }

  static std::unique_ptr<testing::TemporaryFolder> served_;
  static std::unique_ptr<TlsServer> server_;
  const testing::TemporaryFolder temporary_;
  const fs::path root_ = temporary_ / "cache";
};

std::unique_ptr<testing::TemporaryFolder> DataFetch::served_;
std::unique_ptr<TlsServer> DataFetch::server_;

TEST_F(DataFetch, KeepsACheckedSetWithItsRecord) {
  const DatasetCache cache(root_);
  EXPECT_EQ(fetch_dataset(cache, small_set(), from("good")), InstallResult::kInstalled);
  EXPECT_EQ(read_file(root_ / "small/first.txt"), kFirst);
  EXPECT_EQ(read_file(root_ / "small/second.txt"), kSecond);
  EXPECT_EQ(cache.state(small_set()), DatasetState::kReady);
  EXPECT_TRUE(cache.verify(small_set()).empty());
  const auto record = cache.record(small_set());
  ASSERT_TRUE(record);
  EXPECT_EQ(record->source, server_->url("good"));
  EXPECT_EQ(record->files.size(), 2u);
  EXPECT_FALSE(fs::exists(root_ / ".small.partial"));
  EXPECT_EQ(fetch_dataset(cache, small_set(), from("404")), InstallResult::kAlreadyThere);
}

TEST_F(DataFetch, FollowsARedirectToHttpsAndABodyWithoutLength) {
  EXPECT_EQ(fetch_dataset(DatasetCache(root_), small_set(), from("redirect")), InstallResult::kInstalled);
  EXPECT_EQ(fetch_dataset(DatasetCache(root_ / "2"), small_set(), from("nolength/")),
            InstallResult::kInstalled);
}

TEST_F(DataFetch, RefusesAFileWithAnotherHash) {
  const Error error = failure(from("wrong"));
  EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
  EXPECT_THAT(error.what(), HasSubstr("first.txt has SHA-256"));
  EXPECT_THAT(error.what(), HasSubstr("expected " + to_hex(sha256(kFirst))));
  EXPECT_THAT(error.what(), HasSubstr("and 1 more"));
}

TEST_F(DataFetch, RefusesATruncatedBody) {
  const Error error = failure(from("truncated"));
  EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
  EXPECT_THAT(error.what(), HasSubstr("first.txt: the connection ended before the whole file was there"));
}

TEST_F(DataFetch, NamesTheStatusOfAnAnswerThatIsNoFile) {
  const Error error = failure(from("nothing"));
  EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
  EXPECT_THAT(error.what(), HasSubstr("nothing/first.txt: the server answered 404"));
}

TEST_F(DataFetch, GivesUpOnASilentServer) {
  for (const char* behaviour : {"stalled", "mute"}) {
    FetchOptions options = from(behaviour);
    options.stall_s = 1;
    EXPECT_THAT(failure(options).what(), HasSubstr("for 1 s")) << behaviour;
  }
}

TEST_F(DataFetch, RefusesARedirectToHttpAndALoop) {
  EXPECT_THAT(failure(from("http_redirect")).what(), HasSubstr("not https; refused"));
  EXPECT_THAT(failure(from("loop")).what(), HasSubstr("redirects"));
}

TEST_F(DataFetch, RefusesAnUnknownAuthorityAndAnotherHostsCertificate) {
  FetchOptions unknown = from("good");
  unknown.ca_file.clear();
  EXPECT_THAT(failure(unknown).what(), HasSubstr("certificate"));
  FetchOptions other_host = from("good");
  other_host.source = server_->url("good", "127.0.0.1");
  EXPECT_THAT(failure(other_host).what(), HasSubstr("127.0.0.1"));
}

TEST_F(DataFetch, TakesNothingButHttps) {
  for (const char* url : {"http://localhost/good", "file:///etc", "ftp://localhost", "localhost/good"}) {
    FetchOptions options = from("good");
    options.source = url;
    EXPECT_EQ(failure(options).kind(), ErrorKind::kUsage) << url;
  }
}

TEST_F(DataFetch, StopsABodyThatIsLargerThanTheLimit) {
  EXPECT_THAT(failure(from("endless")).what(), HasSubstr("more than 1000000 bytes"));
}

TEST_F(DataFetch, NamesTheHostThatDoesNotAnswer) {
  FetchOptions options = from("good");
  options.source = "https://localhost:1/good";  // a port that nobody listens on
  const Error error = failure(options);
  EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
  EXPECT_THAT(error.what(), HasSubstr("https://localhost:1/good/first.txt"));
}

// A limit on file sizes meets the same code as a full disk: write() fails half-way.
TEST_F(DataFetch, AFullDiskLeavesNothingBehind) {
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = 20'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Error error = failure(from("good"));
  ::setrlimit(RLIMIT_FSIZE, &old);
  ::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
  EXPECT_THAT(error.what(), HasSubstr("first.txt: cannot write: File too large"));
}

TEST_F(DataFetch, AFailureKeepsTheSetThatWasThere) {
  const DatasetCache cache(root_);
  fetch_dataset(cache, small_set(), from("good"));
  write_file_atomically(root_ / "small/second.txt", "damaged\n");
  EXPECT_EQ(cache.state(small_set()), DatasetState::kDamaged);
  EXPECT_THROW(fetch_dataset(cache, small_set(), from("wrong")), Error);
  EXPECT_EQ(read_file(root_ / "small/second.txt"), "damaged\n");
  EXPECT_EQ(fetch_dataset(cache, small_set(), from("good")), InstallResult::kInstalled);
  EXPECT_EQ(read_file(root_ / "small/second.txt"), kSecond);
  EXPECT_FALSE(fs::exists(root_ / ".small.partial"));
}

TEST_F(DataFetch, FetchesAtTheSameTimeDoTheWorkOnce) {
  constexpr int kThreads = 6;
  std::vector<InstallResult> results(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back(
        [&, i] { results[i] = fetch_dataset(DatasetCache(root_), small_set(), from("good")); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::count(results.begin(), results.end(), InstallResult::kInstalled), 1);
  EXPECT_TRUE(DatasetCache(root_).verify(small_set()).empty());
}

}  // namespace
}  // namespace fathom::harness
