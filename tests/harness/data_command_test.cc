// `fathom data` as a user meets it, on the real data sets of ../shared/data.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "tests/harness/captured_command.h"
#include "tests/harness/tls_server.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class DataCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("XDG_DATA_HOME", folder_.c_str(), 1);
    if (!fs::exists(shared_ / "mmlu")) GTEST_SKIP() << "needs the data sets of ../shared/data";
  }

  const testing::TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
  const fs::path shared_ = fs::path(FATHOM_SOURCE_DIR) / "../shared/data";
};

TEST_F(DataCommand, ImportsListsAndVerifiesEverySet) {
  const CapturedCommand import = capture_command({"data", "import", shared_.string()});
  EXPECT_EQ(import.exit_code, kExitDone) << import.err;
  EXPECT_THAT(import.out, HasSubstr("mmlu: 114 files in"));
  std::istringstream lines(capture_command({"data", "list", "--json"}).out);
  int n_sets = 0;
  for (std::string line; std::getline(lines, line); ++n_sets) {
    const nlohmann::json set = nlohmann::json::parse(line);
    EXPECT_EQ(set["state"], "ready");
    EXPECT_EQ(set["where"], (folder_ / "fathom" / set["name"].get<std::string>()).string());
  }
  EXPECT_EQ(n_sets, 3);
  const CapturedCommand verify = capture_command({"data", "verify"});
  EXPECT_EQ(verify.exit_code, kExitDone);
  EXPECT_THAT(verify.out, HasSubstr("mmlu: ok, 114 files"));
}

TEST_F(DataCommand, VerifyNamesAChangedFileAndExitsWithThree) {
  capture_command({"data", "import", shared_.string(), "gsm8k"});
  const fs::path file = folder_ / "fathom/gsm8k/test.jsonl";
  std::string text = read_file(file);
  text[100] ^= 1;
  write_file_atomically(file, text);
  const CapturedCommand verify = capture_command({"data", "verify", "gsm8k"});
  EXPECT_EQ(verify.exit_code, kExitBadInput);
  EXPECT_THAT(verify.out, HasSubstr("gsm8k: test.jsonl has SHA-256"));
  EXPECT_EQ(capture_command({"data", "verify", "mmlu"}).exit_code, kExitBadInput);  // absent
  EXPECT_EQ(capture_command({"data", "verify", "--data", shared_.string()}).exit_code, kExitDone);
}

TEST_F(DataCommand, ListShowsTheCommandThatGetsAnAbsentSet) {
  EXPECT_THAT(capture_command({"data", "list"}).out, HasSubstr("absent   fathom data fetch mmlu"));
  EXPECT_THAT(capture_command({"data", "verify"}).out, HasSubstr("no data set is on this machine"));
}

TEST_F(DataCommand, ImportOfAFolderWithoutDataIsOneClearError) {
  const CapturedCommand import = capture_command({"data", "import", folder_.string()});
  EXPECT_EQ(import.exit_code, kExitBadInput);
  EXPECT_THAT(import.err, HasSubstr("no data set is here; looked for gsm8k (train.jsonl, ...)"));
}

TEST_F(DataCommand, FetchesMmluFromAnArchiveInTheOfficialLayout) {
  const fs::path served = folder_ / "served";
  TlsServer server(served);
  const std::string make_tar = "tar -cf '" + (served / "data.tar").string() + "' -C '" + shared_.string() +
                               "' --transform 's,^mmlu,data,' mmlu";
  ASSERT_EQ(std::system(make_tar.c_str()), 0);
  const std::vector<std::string> fetch = {
      "data", "fetch", "mmlu", "--source", server.url("good"), "--ca-file", server.ca_file()};
  const CapturedCommand first = capture_command(fetch);
  EXPECT_EQ(first.exit_code, kExitDone) << first.err;
  EXPECT_THAT(first.out, HasSubstr("114 files"));
  EXPECT_THAT(first.err, HasSubstr("mmlu/data.tar: "));  // progress
  EXPECT_FALSE(fs::exists(folder_ / "fathom/mmlu/data.tar"));
  EXPECT_EQ(read_file(folder_ / "fathom/mmlu/test/anatomy_test.csv"),
            read_file(shared_ / "mmlu/test/anatomy_test.csv"));
  EXPECT_THAT(capture_command(fetch).out, HasSubstr("already in"));
}

TEST_F(DataCommand, AFetchThatFailsSaysWhatElseToTry) {
  const fs::path served = folder_ / "served";
  TlsServer server(served);
  const CapturedCommand result = capture_command(
      {"data", "fetch", "mmlu", "--source", server.url("good"), "--ca-file", server.ca_file()});
  EXPECT_EQ(result.exit_code, kExitEnvironment);
  EXPECT_THAT(result.err, HasSubstr("the server answered 404"));
  EXPECT_THAT(result.err, HasSubstr("fathom data import DIR"));
}

TEST_F(DataCommand, RefusesUnknownSetsAndOneSourceForSeveral) {
  EXPECT_EQ(capture_command({"data", "fetch", "mmul"}).exit_code, kExitUsage);
  EXPECT_EQ(capture_command({"data", "fetch"}).exit_code, kExitUsage);
  EXPECT_EQ(capture_command({"data", "fetch", "mmlu", "gsm8k", "--source", "https://x"}).exit_code,
            kExitUsage);
  EXPECT_EQ(capture_command({"data", "import", (folder_ / "none").string()}).exit_code, kExitUsage);
}

}  // namespace
}  // namespace fathom::harness
