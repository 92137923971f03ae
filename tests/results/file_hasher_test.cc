#include "results/file_hasher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "tests/temporary_folder.h"

namespace fathom::results {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FileHasherTest : public ::testing::Test {
 protected:
  FileHasherTest() {
    for (const std::string& name : names_) write(name, "content of " + name);
  }

  // Written an hour ago, so that the cache may remember it.
  void write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name) << content;
    fs::last_write_time(folder_ / name, hour_ago_);
  }

  std::vector<FileIdentity> hash(bool rehash = false) {
    FileHasher hasher(folder_.path(), find_weight_files(folder_.path(), names_),
                      {.n_threads = 2, .cache = cache_, .rehash = rehash});
    std::vector<FileIdentity> files = hasher.finish();
    EXPECT_TRUE(hasher.done());
    EXPECT_EQ(hasher.bytes_hashed(), hasher.bytes_total());
    return files;
  }

  testing::TemporaryFolder folder_;
  fs::path cache_ = folder_ / "cache" / "file_hashes.jsonl";
  std::vector<std::string> names_ = {"a.safetensors", "b.safetensors", "config.json"};
  fs::file_time_type hour_ago_ = fs::file_time_type::clock::now() - std::chrono::hours(1);
};

TEST_F(FileHasherTest, HashesEveryFileInTheOrderGiven) {
  const std::vector<FileIdentity> files = hash();
  ASSERT_EQ(files.size(), 3u);
  for (size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(files[i].path, names_[i]);
    EXPECT_EQ(files[i].size_bytes, static_cast<int64_t>(("content of " + names_[i]).size()));
    EXPECT_EQ(files[i].sha256, sha256("content of " + names_[i]));
  }
}

TEST_F(FileHasherTest, RemembersByPathSizeMtimeAndInode) {
  hash();
  // Same size and mtime, rewritten in place: only reading it again could tell, and the cache does not.
  write("a.safetensors", "CONTENT of a.safetensors");
  EXPECT_EQ(hash()[0].sha256, sha256("content of a.safetensors"));
  EXPECT_EQ(hash(true)[0].sha256, sha256("CONTENT of a.safetensors"));  // --rehash
  EXPECT_EQ(hash()[0].sha256, sha256("CONTENT of a.safetensors"));      // and the cache has learnt it
}

TEST_F(FileHasherTest, ANewMtimeSizeOrInodeIsHashedAgain) {
  hash();
  write("a.safetensors", "CONTENT of a.safetensors");
  fs::last_write_time(folder_ / "a.safetensors", hour_ago_ + std::chrono::nanoseconds(1000));
  EXPECT_EQ(hash()[0].sha256, sha256("CONTENT of a.safetensors"));
  write("b.safetensors", "longer content of b.safetensors");
  EXPECT_EQ(hash()[1].sha256, sha256("longer content of b.safetensors"));
  write("other", "CONTENT of config.json");
  fs::rename(folder_ / "other", folder_ / "config.json");
  EXPECT_EQ(hash()[2].sha256, sha256("CONTENT of config.json"));
}

TEST_F(FileHasherTest, AFileJustWrittenIsNotRemembered) {
  std::ofstream(folder_ / "a.safetensors") << "content of a.safetensors";
  hash();
  EXPECT_THAT(read_file(cache_), ::testing::Not(HasSubstr("a.safetensors")));
  EXPECT_THAT(read_file(cache_), HasSubstr("b.safetensors"));
}

TEST_F(FileHasherTest, ADamagedCacheIsIgnoredAndReplaced) {
  hash();
  for (const std::string damage : {"{\"path\":", "{}\n", "null\n",
                                   "{\"path\":\"x\",\"size_bytes\":1,\"mtime_ns\":1,"
                                   "\"inode\":1,\"sha256\":\"zz\"}\n"}) {
    std::ofstream(cache_) << damage;
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(hash()[0].sha256, sha256("content of a.safetensors")) << damage;
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("ignoring this cache"));
    EXPECT_THAT(read_file(cache_), HasSubstr("a.safetensors"));
  }
}

TEST_F(FileHasherTest, AFileThatChangesMeanwhileIsAnError) {
  const std::vector<WeightFile> found = find_weight_files(folder_.path(), names_);
  write("a.safetensors", "now it is longer than before");
  FileHasher hasher(folder_.path(), found, {.cache = cache_});
  try {
    hasher.finish();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("a.safetensors: this file of the checkpoint changed"));
  }
}

TEST_F(FileHasherTest, AMissingFileIsNamed) {
  try {
    find_weight_files(folder_.path(), {"gone.safetensors"});
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("gone.safetensors: cannot find"));
  }
}

TEST_F(FileHasherTest, DestroyingItStopsTheThreads) {
  std::ofstream(folder_ / "a.safetensors") << std::string(64 << 20, 'x');
  const FileHasher hasher(folder_.path(), find_weight_files(folder_.path(), names_), {.n_threads = 1});
}

}  // namespace
}  // namespace fathom::results
