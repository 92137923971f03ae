// Opening tasks as a run does: their data come from --data, the cache, or fathom itself.
#include "harness/asking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "harness/data/fetch.h"
#include "harness/data/registry.h"
#include "tasks/registry.h"
#include "tasks/token_counter.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// One token a byte.
class ByteCounter : public tasks::TokenCounter {
 public:
  std::vector<int32_t> encode(std::string_view text) const override { return {text.begin(), text.end()}; }
  std::string decode(std::span<const int32_t> ids) const override { return {ids.begin(), ids.end()}; }
  int64_t count(std::string_view text) const override { return std::ssize(text); }
};

class AskingData : public ::testing::Test {
 protected:
  void SetUp() override { ::setenv("XDG_DATA_HOME", cache_.c_str(), 1); }

  tasks::Documents open(const std::string& task, const fs::path& data_dir = {}) const {
    Asking asking;
    asking.data_dir = data_dir;
    return open_task(asking, tasks::find_task(task), ByteCounter());
  }

  const testing::TemporaryFolder temporary_;
  const fs::path cache_ = temporary_.path();
  const fs::path shared_ = fs::path(FATHOM_SOURCE_DIR) / "../shared/data";
};

TEST_F(AskingData, AMissingSetIsOneErrorWithTheCommandThatGetsIt) {
  for (const char* task : {"gsm8k", "humaneval", "mmlu_anatomy"}) {
    try {
      open(task);
      ADD_FAILURE() << task << ": nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      EXPECT_THAT(error.what(), HasSubstr("fathom data fetch " + tasks::find_task(task).dataset));
    }
  }
}

TEST_F(AskingData, BuiltInDocumentsNeedNoData) {
  const auto& all = tasks::all_tasks();
  const auto sample = std::find_if(all.begin(), all.end(),
                                   [](const tasks::Task& task) { return task.dataset == "mmlu_sample"; });
  ASSERT_NE(sample, all.end());
  EXPECT_GT(open(sample->name).samples.size(), 0u);
}

TEST_F(AskingData, AnImportedSetIsFoundWithoutNamingIt) {
  if (!fs::exists(shared_ / "humaneval")) GTEST_SKIP() << "needs the data sets of ../shared/data";
  import_dataset(DatasetCache(cache_ / "fathom"), find_dataset("humaneval"), shared_ / "humaneval");
  EXPECT_EQ(open("humaneval").samples.size(), 164u);
}

TEST_F(AskingData, TheDataOptionNamesTheFolderOfAllSetsOrOfOne) {
  if (!fs::exists(shared_ / "mmlu")) GTEST_SKIP() << "needs the data sets of ../shared/data";
  EXPECT_EQ(open("mmlu_anatomy", shared_).samples.size(), 135u);
  EXPECT_EQ(open("mmlu_anatomy", shared_ / "mmlu").samples.size(), 135u);
}

}  // namespace
}  // namespace fathom::harness
