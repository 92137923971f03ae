#include "results/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "results/check.h"
#include "results/schema.h"
#include "tests/expect_error.h"
#include "tests/results/stored_runs.h"
#include "tests/temporary_folder.h"

namespace fathom::results {
namespace {

using testing::expect_bad_input;
using ::testing::IsEmpty;

class SnapshotTest : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "results.db";
  std::filesystem::path out_ = folder_ / "copy.db";
};

TEST_F(SnapshotTest, HoldsWhatWasCommittedWhileTheWriterGoesOn) {
  const RunRecord run = example_run();
  Store store = Store::open_for_writing(path_, "test");
  store.begin_run(run);
  const std::vector<SampleRecord> samples = example_samples(run);
  store.commit_samples(std::span(samples).first(10));
  snapshot(path_, out_, Existing::kKeep);
  store.commit_samples(std::span(samples).subspan(10));
  const Database copy = open_for_reading(out_);
  EXPECT_EQ(copy.query_int("SELECT count(*) FROM sample"), 10);
  EXPECT_THAT(check_database(copy).problems, IsEmpty());
  EXPECT_EQ(store.database().query_int("SELECT count(*) FROM sample"), 18);
}

TEST_F(SnapshotTest, IsOnePlainFileWithoutALog) {
  store_complete(path_, example_run());
  snapshot(path_, out_, Existing::kKeep);
  EXPECT_EQ(read_file(out_)[18], 1) << "2 would mean a write-ahead log";
  int n_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    n_files += entry.path().filename().string().starts_with("copy.db") ? 1 : 0;
  }
  EXPECT_EQ(n_files, 1);
}

TEST_F(SnapshotTest, ReplacesOnlyAResultsDatabaseAndOnlyWhenAsked) {
  store_complete(path_, example_run());
  snapshot(path_, out_, Existing::kKeep);
  store_complete(path_, another_run());
  expect_bad_input([&] { snapshot(path_, out_, Existing::kKeep); }, {"exists already", "--force"});
  snapshot(path_, out_, Existing::kReplace);
  EXPECT_EQ(open_for_reading(out_).query_int("SELECT count(*) FROM run"), 2);
  std::ofstream(folder_ / "notes.txt") << std::string(5000, 'n');
  expect_bad_input([&] { snapshot(path_, folder_ / "notes.txt", Existing::kReplace); },
                   {"not a fathom results database"});
  EXPECT_EQ(read_file(folder_ / "notes.txt").size(), 5000u);
}

TEST_F(SnapshotTest, IsRefusedWhereALogOfAnotherDatabaseLies) {
  store_complete(path_, example_run());
  std::ofstream(out_.string() + "-wal") << "left over";
  expect_bad_input([&] { snapshot(path_, out_, Existing::kKeep); }, {"copy.db-wal lies beside it"});
}

TEST_F(SnapshotTest, LeavesNothingBehindWhenItFails) {
  store_complete(path_, example_run());
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(8192 * 3);
    file << std::string(8192 * 4, '\xff');
  }
  std::filesystem::create_directory(folder_ / "out");
  std::filesystem::permissions(folder_ / "out", std::filesystem::perms::owner_all);
  snapshot(path_, folder_ / "out/copy.db", Existing::kKeep);  // pages are copied as they are
  EXPECT_FALSE(
      check_database(Database(folder_ / "out/copy.db", Database::Access::kReadOnly)).problems.empty());
  expect_bad_input([&] { snapshot(path_, folder_ / "no/such/copy.db", Existing::kKeep); },
                   {"check that the folder exists"});
}

TEST_F(SnapshotTest, ReplacingContentIsOneTransactionThatReadersSurvive) {
  store_complete(path_, example_run());
  store_complete(out_, example_run());
  store_complete(out_, another_run());
  const Database reader = open_for_reading(path_);
  EXPECT_EQ(reader.query_int("SELECT count(*) FROM run"), 1);
  {
    Database to = open_for_writing(path_, "test");
    const Database from = open_for_reading(out_);
    replace_content(from, to);
  }
  EXPECT_EQ(reader.query_int("SELECT count(*) FROM run"), 2);
  EXPECT_THAT(check_database(open_for_reading(path_)).problems, IsEmpty());
}

}  // namespace
}  // namespace fathom::results
