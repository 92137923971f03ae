// A full disk and files that cannot be written: one clear error, and everything committed is still there.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "results/check.h"
#include "results/runs.h"
#include "results/schema.h"
#include "tests/expect_error.h"
#include "tests/results/stored_runs.h"
#include "tests/temporary_folder.h"

namespace fathom::results {
namespace {

constexpr uid_t kNobody = 65534;

// File permissions mean nothing to root; while this lives, the process is somebody else.
class AsOrdinaryUser {
 public:
  AsOrdinaryUser() {
    if (::geteuid() == 0) changed_ = ::seteuid(kNobody) == 0;
  }
  ~AsOrdinaryUser() {
    if (!changed_) return;
    EXPECT_EQ(::seteuid(0), 0);
  }
  AsOrdinaryUser(const AsOrdinaryUser&) = delete;
  AsOrdinaryUser& operator=(const AsOrdinaryUser&) = delete;

 private:
  bool changed_ = false;
};

class DiskErrorsTest : public ::testing::Test {
 protected:
  void set_mode(const std::filesystem::path& path, mode_t mode) { ASSERT_EQ(::chmod(path.c_str(), mode), 0); }

  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "results.db";
};

TEST_F(DiskErrorsTest, AFullDiskKeepsWhatWasCommittedAndTheRunGoesOnLater) {
  const RunRecord run = example_run(300);
  const std::vector<SampleRecord> samples = example_samples(run);
  {
    Store store = Store::open_for_writing(path_, "test");
    store.begin_run(run);
    store.commit_samples(std::span(samples).first(64));
    const int64_t n_pages = store.database().query_int("PRAGMA page_count");
    store.database().execute("PRAGMA max_page_count = " + std::to_string(n_pages + 1));
    testing::expect_bad_input([&] { store.commit_samples(std::span(samples).subspan(64)); },
                              {"results.db", "the disk is full", "everything committed is kept"});
    EXPECT_EQ(run_info(open_for_reading(path_), 1).n_stored, 64) << "none of the batch, all before it";
    EXPECT_EQ(store.database().query_int("SELECT count(*) FROM sample"), 64);
  }
  Store store = Store::open_for_writing(path_, "test");
  const StartedRun started = store.begin_run(run);
  EXPECT_EQ(started.stored.size(), 64u);
  store.commit_samples(samples);
  store.set_checkpoint_files(example_files());
  store.finish_run(RunStatus::kComplete);
  EXPECT_TRUE(check_database(store.database()).problems.empty());
}

TEST_F(DiskErrorsTest, AReadOnlyFileIsRefusedAndStillReadable) {
  store_complete(path_, example_run());
  set_mode(path_, 0444);
  set_mode(folder_.path(), 0777);
  set_mode(path_.string() + ".lock", 0666);
  const AsOrdinaryUser user;
  testing::expect_bad_input([&] { Store::open_for_writing(path_, "test"); },
                            {"results.db", "the file is read-only"});
  EXPECT_EQ(list_runs(open_for_reading(path_)).size(), 1u);
}

TEST_F(DiskErrorsTest, AReadOnlyFolderIsRefusedAndStillReadable) {
  store_complete(path_, example_run());
  set_mode(path_.string() + ".lock", 0444);
  set_mode(folder_.path(), 0555);
  {
    const AsOrdinaryUser user;
    testing::expect_bad_input([&] { Store::open_for_writing(path_, "test"); },
                              {"results.db", "cannot be opened", "writable"});
    EXPECT_EQ(list_runs(open_for_reading(path_)).size(), 1u);
  }
  set_mode(folder_.path(), 0755);
}

TEST_F(DiskErrorsTest, AnUnreadableFileIsRefused) {
  store_complete(path_, example_run());
  set_mode(path_, 0000);
  set_mode(folder_.path(), 0777);
  const AsOrdinaryUser user;
  testing::expect_bad_input([&] { open_for_reading(path_); }, {"results.db"});
}

}  // namespace
}  // namespace fathom::results
