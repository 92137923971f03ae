#include "results/local_copy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/check.h"
#include "results/runs.h"
#include "results/schema.h"
#include "tests/expect_error.h"
#include "tests/results/stored_runs.h"
#include "tests/temporary_folder.h"

namespace fathom::results {
namespace {

using ::testing::IsEmpty;

// Everything below a folder called "remote" is on a network.
FileSystemInfo remote_is_nfs(const std::filesystem::path& path) {
  return path.string().find("/remote/") != std::string::npos ? FileSystemInfo{true, "NFS"} : FileSystemInfo{};
}

class LocalCopyTest : public ::testing::Test {
 protected:
  LocalCopyTest() {
    std::filesystem::create_directory(folder_ / "remote");
    std::filesystem::create_directory(local_);
  }

  Database read() { return open_for_reading(path_, &remote_is_nfs); }

  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "remote/results.db";
  std::filesystem::path local_ = folder_ / "local";
};

TEST_F(LocalCopyTest, WorkAppearsInTheDatabaseWhenItIsCopiedBack) {
  store_complete(path_, another_run());
  {
    LocalCopy copy(path_, local_, "test", &remote_is_nfs);
    store_complete(copy.path(), example_run());
    testing::expect_bad_input([&] { Store::open_for_writing(path_, "test"); },
                              {"is writing to this database"});
    copy.copy_back();
  }
  EXPECT_EQ(list_runs(read()).size(), 2u);
  EXPECT_THAT(check_database(read()).problems, IsEmpty());
  EXPECT_TRUE(std::filesystem::is_empty(local_));
}

TEST_F(LocalCopyTest, ADatabaseThatIsNotThereYetIsMade) {
  {
    LocalCopy copy(path_, local_, "test", &remote_is_nfs);
    store_complete(copy.path(), example_run());
    copy.copy_back();
  }
  EXPECT_EQ(list_runs(read()).size(), 1u);
}

TEST_F(LocalCopyTest, WhatAKilledProcessLeftIsTakenUp) {
  store_complete(path_, another_run());
  {
    const LocalCopy copy(path_, local_, "test", &remote_is_nfs);
    Store store = Store::open_for_writing(copy.path(), "test");
    store.begin_run(example_run());
    store.commit_samples(std::vector{example_sample(example_run(), 0, 0)});
  }  // killed: nothing is copied back
  EXPECT_EQ(list_runs(read()).size(), 1u);
  // Meanwhile the database went on by itself.
  RunRecord third = another_run();
  third.name = "third";
  store_complete(path_, third);
  {
    LocalCopy copy(path_, local_, "test", &remote_is_nfs);
    {
      Store store = Store::open_for_writing(copy.path(), "test");
      const StartedRun started = store.begin_run(example_run());
      EXPECT_TRUE(started.resumed);
      EXPECT_EQ(started.stored.size(), 1u);
      store.commit_samples(example_samples(example_run()));
      store.set_checkpoint_files(example_files());
      store.finish_run(RunStatus::kComplete);
    }
    copy.copy_back();
  }
  EXPECT_EQ(list_runs(read()).size(), 3u);
  EXPECT_THAT(check_database(read()).problems, IsEmpty());
}

TEST_F(LocalCopyTest, AKillWhileTakingUpLosesNothing) {
  {
    const LocalCopy copy(path_, local_, "test", &remote_is_nfs);
    store_complete(copy.path(), example_run());
  }
  // As a kill leaves it after the leftover was set aside: a copy of the database, without the work, lies in
  // its place.
  std::filesystem::path local_file;
  for (const auto& entry : std::filesystem::directory_iterator(local_)) {
    if (entry.path().extension() == ".db") local_file = entry.path();
  }
  std::filesystem::rename(local_file, local_file.string() + ".left");
  store_complete(local_file, another_run());
  LocalCopy(path_, local_, "test", &remote_is_nfs).copy_back();
  ASSERT_EQ(list_runs(read()).size(), 1u);
  EXPECT_EQ(run_info(read(), 1).name, "example");
  EXPECT_TRUE(std::filesystem::is_empty(local_));
}

TEST_F(LocalCopyTest, TheFolderMustBeThereAndLocal) {
  testing::expect_bad_input([&] { LocalCopy(path_, folder_ / "none", "test", &remote_is_nfs); },
                            {"needs a folder that exists"});
  testing::expect_bad_input([&] { LocalCopy(path_, folder_ / "remote", "test", &remote_is_nfs); },
                            {"network file system (NFS)"});
}

}  // namespace
}  // namespace fathom::results
