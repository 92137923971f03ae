// A database on a network file system. The file system is pretended: SQLite's modes and our refusals are
// real.
#include <gtest/gtest.h>

#include "base/file.h"
#include "results/file_system.h"
#include "results/runs.h"
#include "results/schema.h"
#include "results/snapshot.h"
#include "tests/expect_error.h"
#include "tests/results/stored_runs.h"
#include "tests/temporary_folder.h"

namespace fathom::results {
namespace {

FileSystemInfo nfs(const std::filesystem::path&) {
  return {true, "NFS"};
}

class NetworkTest : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "results.db";
};

TEST_F(NetworkTest, TheWriterHoldsTheFileAloneWithARollbackJournal) {
  Store store = Store::open_for_writing(path_, "test", &nfs);
  EXPECT_EQ(store.database().query_text("PRAGMA journal_mode"), "delete");
  EXPECT_EQ(store.database().query_text("PRAGMA locking_mode"), "exclusive");
  store.begin_run(example_run());
  store.commit_samples(example_samples(example_run()));
  EXPECT_FALSE(std::filesystem::exists(path_.string() + "-wal"));
  EXPECT_FALSE(std::filesystem::exists(path_.string() + "-shm"));
  EXPECT_EQ(read_file(path_)[18], 1) << "2 would mean a write-ahead log";
}

TEST_F(NetworkTest, ReadersAreRefusedWithTheReasonUntilTheWriterIsDone) {
  {
    const Store store = Store::open_for_writing(path_, "test", &nfs);
    testing::expect_bad_input([&] { open_for_reading(path_, &nfs); },
                              {"is being written on a network file system (NFS)", "--db-local"});
    testing::expect_bad_input([&] { snapshot(path_, folder_ / "copy.db", Existing::kKeep, &nfs); }, {"NFS"});
  }
  EXPECT_TRUE(list_runs(open_for_reading(path_, &nfs)).empty());
}

TEST_F(NetworkTest, ASecondWriterIsRefused) {
  const Store store = Store::open_for_writing(path_, "test", &nfs);
  testing::expect_bad_input([&] { Store::open_for_writing(path_, "test", &nfs); },
                            {"is writing to this database"});
}

TEST_F(NetworkTest, ADatabaseThatWasLocalIsTakenOutOfItsLog) {
  store_complete(path_, example_run());
  EXPECT_EQ(read_file(path_)[18], 2);
  EXPECT_EQ(list_runs(open_for_reading(path_, &nfs)).size(), 1u)
      << "nobody writes: the file alone is the truth";
  {
    Store::open_for_writing(path_, "test", &nfs);
  }
  EXPECT_EQ(read_file(path_)[18], 1);
  EXPECT_EQ(list_runs(open_for_reading(path_, &nfs)).size(), 1u);
}

TEST_F(NetworkTest, ARunIsResumedThere) {
  const RunRecord run = example_run();
  {
    Store store = Store::open_for_writing(path_, "test", &nfs);
    store.begin_run(run);
    store.commit_samples(std::vector{example_sample(run, 0, 0)});
  }
  Store store = Store::open_for_writing(path_, "test", &nfs);
  EXPECT_EQ(store.begin_run(run).stored.size(), 1u);
}

TEST(FileSystem, ProcIsKnownAndIsNoNetwork) {
  EXPECT_FALSE(probe_file_system("/proc/self/stat").network);
  EXPECT_FALSE(probe_file_system("/no/such/folder/at/all").network);
}

}  // namespace
}  // namespace fathom::results
