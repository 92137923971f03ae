// The cache of data sets: whole sets or none, records, imports and where a run finds its data.
#include "harness/data/cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "harness/data/fetch.h"
#include "harness/data/registry.h"
#include "harness/data/resolve.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

template <typename Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

class DataCache : public ::testing::Test {
 protected:
  void SetUp() override {
    write(copy() / "a.txt", "alpha");
    write(copy() / "sub/b.txt", "beta");
    set_.name = "small";
    set_.files = {{"a.txt", 5, to_hex(sha256("alpha"))}, {"sub/b.txt", 4, to_hex(sha256("beta"))}};
    set_.import_folders = {"", "small", "deep/er"};
    set_.markers = {"a.txt"};
  }

  static void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    write_file_atomically(path, text);
  }

  fs::path copy() const { return folder_ / "copy"; }
  fs::path root() const { return folder_ / "cache"; }
  DatasetCache cache() const { return DatasetCache(root()); }

  // The same set without hashes known beforehand.
  Dataset unpinned() const {
    Dataset set = set_;
    for (DataFile& file : set.files) file = {.path = file.path};
    return set;
  }

  const testing::TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.path();
  Dataset set_;
};

TEST_F(DataCache, ImportsAWholeCheckedSet) {
  EXPECT_EQ(cache().state(set_), DatasetState::kAbsent);
  EXPECT_EQ(import_dataset(cache(), set_, copy()), InstallResult::kInstalled);
  EXPECT_EQ(read_file(root() / "small/sub/b.txt"), "beta");
  EXPECT_EQ(cache().state(set_), DatasetState::kReady);
  EXPECT_EQ(cache().record(set_)->source, copy().string());
  EXPECT_EQ(import_dataset(cache(), set_, copy()), InstallResult::kAlreadyThere);
}

TEST_F(DataCache, FindsALocalCopyInTheKnownLayouts) {
  EXPECT_EQ(find_local_copy(set_, copy()), copy());
  fs::create_directories(folder_ / "x/deep");
  fs::rename(copy(), folder_ / "x/deep/er");
  EXPECT_EQ(find_local_copy(set_, folder_ / "x"), folder_ / "x/deep/er");
  EXPECT_EQ(find_local_copy(set_, folder_), std::nullopt);
}

TEST_F(DataCache, RefusesAChangedOrMissingFileAndKeepsNothing) {
  write(copy() / "a.txt", "alphA");
  EXPECT_THAT(message_of([&] { import_dataset(cache(), set_, copy()); }), HasSubstr("a.txt has SHA-256"));
  write(copy() / "a.txt", "alph");
  EXPECT_THAT(message_of([&] { import_dataset(cache(), set_, copy()); }),
              HasSubstr("has 4 bytes, expected 5"));
  fs::remove(copy() / "a.txt");
  EXPECT_THAT(message_of([&] { import_dataset(cache(), set_, copy()); }), HasSubstr("a.txt is missing"));
  EXPECT_FALSE(fs::exists(root() / "small"));
  EXPECT_FALSE(fs::exists(root() / ".small.partial"));
}

TEST_F(DataCache, RemovesWhatAKilledProcessLeft) {
  write(root() / ".small.partial/half", "x");
  import_dataset(cache(), set_, copy());
  EXPECT_FALSE(fs::exists(root() / "small/half"));
  EXPECT_FALSE(fs::exists(root() / ".small.partial"));
}

TEST_F(DataCache, NeverReplacesAFolderThatItDidNotWrite) {
  write(root() / "small/mine.txt", "x");
  EXPECT_EQ(cache().state(set_), DatasetState::kAbsent);
  EXPECT_THAT(message_of([&] { import_dataset(cache(), set_, copy()); }), HasSubstr("is in the way"));
  EXPECT_EQ(read_file(root() / "small/mine.txt"), "x");
}

TEST_F(DataCache, VerifyFindsWhatSizesDoNotShow) {
  import_dataset(cache(), set_, copy());
  write(root() / "small/sub/b.txt", "BETA");
  EXPECT_EQ(cache().state(set_), DatasetState::kReady);
  const std::vector<FileProblem> problems = cache().verify(set_);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].path, "sub/b.txt");
  EXPECT_EQ(import_dataset(cache(), set_, copy()), InstallResult::kInstalled);
  EXPECT_TRUE(cache().verify(set_).empty());
}

TEST_F(DataCache, ABrokenRecordIsDamageThatAnImportRepairs) {
  import_dataset(cache(), set_, copy());
  write(root() / "small/fathom-dataset.json", "{\"files\": 3}");
  EXPECT_EQ(cache().state(set_), DatasetState::kDamaged);
  EXPECT_EQ(import_dataset(cache(), set_, copy()), InstallResult::kInstalled);
  EXPECT_EQ(cache().state(set_), DatasetState::kReady);
}

TEST_F(DataCache, AnUnpinnedSetIsHeldToItsFirstImport) {
  const Dataset set = unpinned();
  EXPECT_EQ(import_dataset(cache(), set, copy()), InstallResult::kInstalled);
  EXPECT_EQ(cache().record(set)->files[0].sha256, to_hex(sha256("alpha")));
  EXPECT_TRUE(cache().verify(set).empty());
  write(root() / "small/a.txt", "omega");
  EXPECT_EQ(cache().verify(set).size(), 1u);
  write(copy() / "a.txt", "gamma");
  EXPECT_THAT(message_of([&] { import_dataset(cache(), set, copy()); }),
              HasSubstr("the one first imported on 20"));
  write(copy() / "a.txt", "alpha");
  EXPECT_EQ(import_dataset(cache(), set, copy()), InstallResult::kInstalled);
}

TEST_F(DataCache, SaysWhenItsFolderCannotBeMade) {
  write(folder_ / "file", "x");
  const DatasetCache blocked(folder_ / "file/cache");
  EXPECT_THAT(message_of([&] { import_dataset(blocked, set_, copy()); }),
              HasSubstr("cannot create the folder"));
}

TEST(DataRegistry, EveryFileIsPinnedAndNamedOnce) {
  for (const Dataset& set : all_datasets()) {
    std::set<std::string> paths;
    for (const DataFile& file : set.files) {
      EXPECT_EQ(file.sha256.size(), 64u) << set.name << " " << file.path;
      EXPECT_GT(file.bytes, 0);
      EXPECT_TRUE(paths.insert(file.path).second) << file.path;
    }
    EXPECT_TRUE(set.source.starts_with("https://"));
  }
  EXPECT_EQ(find_dataset("mmlu").files.size(), 114u);
}

TEST(DataRegistry, AnUnknownNameIsAUsageError) {
  EXPECT_THAT(message_of([] { find_dataset("mmul"); }), HasSubstr("known are gsm8k, humaneval, mmlu"));
}

// Where a run finds its data: --data, else the cache below XDG_DATA_HOME.
class DataResolve : public DataCache {
 protected:
  void SetUp() override {
    DataCache::SetUp();
    ::setenv("XDG_DATA_HOME", (folder_ / "xdg").c_str(), 1);
  }
};

TEST_F(DataResolve, TakesTheDataOptionInEveryLayout) {
  write(folder_ / "all/gsm8k/test.jsonl", "{}");
  write(folder_ / "all/test.jsonl", "of something else");
  write(folder_ / "repository/grade_school_math/data/test.jsonl", "{}");
  EXPECT_EQ(resolve_data_folder("gsm8k", folder_ / "all"), folder_ / "all/gsm8k");
  EXPECT_EQ(resolve_data_folder("gsm8k", folder_ / "all/gsm8k"), folder_ / "all/gsm8k");
  EXPECT_EQ(resolve_data_folder("gsm8k", folder_ / "repository"),
            folder_ / "repository/grade_school_math/data");
  EXPECT_THAT(message_of([&] { resolve_data_folder("mmlu", folder_ / "all"); }),
              HasSubstr("the data set mmlu is not here"));
  EXPECT_THAT(message_of([&] { resolve_data_folder("mmlu", folder_ / "none"); }),
              HasSubstr("expected a folder"));
}

TEST_F(DataResolve, NamesTheCommandThatGetsAMissingSet) {
  const std::string message = message_of([] { resolve_data_folder("mmlu", ""); });
  EXPECT_THAT(message, HasSubstr("is not on this machine"));
  EXPECT_THAT(message, HasSubstr("fathom data fetch mmlu"));
  EXPECT_THAT(message, HasSubstr("fathom data import DIR"));
}

TEST_F(DataResolve, FindsAnImportedSetAndRefusesADamagedOne) {
  const fs::path shared = fs::path(FATHOM_SOURCE_DIR) / "../shared/data";
  if (!fs::exists(shared / "humaneval")) GTEST_SKIP() << "needs the data sets of ../shared/data";
  const DatasetCache user(folder_ / "xdg/fathom");
  import_dataset(user, find_dataset("humaneval"), shared / "humaneval");
  EXPECT_EQ(resolve_data_folder("humaneval", ""), folder_ / "xdg/fathom/humaneval");
  write(folder_ / "xdg/fathom/humaneval/HumanEval.jsonl.gz", "x");
  EXPECT_THAT(message_of([] { resolve_data_folder("humaneval", ""); }), HasSubstr("is damaged"));
}

}  // namespace
}  // namespace fathom::harness
