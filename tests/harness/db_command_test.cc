// `fathom db ...`: what it prints and its exit codes. What it does is tested in tests/results.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/runs.h"
#include "results/schema.h"
#include "tests/harness/captured_command.h"
#include "tests/results/stored_runs.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

using ::testing::HasSubstr;

class DbCommand : public ::testing::Test {
 protected:
  DbCommand() {
    results::store_complete(db_, results::example_run());
    results::store_interrupted(db_, results::another_run(), 5);
  }

  int run(std::vector<std::string> args) {
    args.insert(args.begin(), "db");
    CapturedCommand command = capture_command(args);
    out_ = std::move(command.out);
    err_ = std::move(command.err);
    return command.exit_code;
  }

  size_t n_runs(const std::string& db) { return results::list_runs(results::open_for_reading(db)).size(); }

  testing::TemporaryFolder folder_;
  std::string db_ = (folder_ / "results.db").string();
  std::string other_ = (folder_ / "other.db").string();
  std::string out_;
  std::string err_;
};

TEST_F(DbCommand, CheckSaysSoundOrListsTheProblemsWithExitCode3) {
  EXPECT_EQ(run({"check", db_}), 0);
  EXPECT_THAT(out_, HasSubstr("sound: 2 runs, 23 samples"));
  results::tamper(db_, "UPDATE run_task SET n_stored = 1 WHERE run_task_id = 1");
  EXPECT_EQ(run({"check", db_}), 3);
  EXPECT_THAT(out_, HasSubstr("run 1, anatomy: its counters say 1 samples"));
  EXPECT_EQ(run({"check", other_}), 3);
  EXPECT_THAT(err_, HasSubstr("no such results database"));
}

TEST_F(DbCommand, PruneDryRunChangesNothing) {
  EXPECT_EQ(run({"prune", db_, "--incomplete", "--dry-run"}), 0);
  EXPECT_THAT(out_, HasSubstr("would delete: run 2: interrupted, 5 of 18 samples"));
  EXPECT_EQ(n_runs(db_), 2u);
}

TEST_F(DbCommand, PruneSaysWhatItDeletes) {
  EXPECT_EQ(run({"prune", db_, "--incomplete"}), 0);
  EXPECT_THAT(out_, HasSubstr("deleting: run 2: interrupted"));
  EXPECT_THAT(out_, HasSubstr("1 runs deleted"));
  EXPECT_EQ(n_runs(db_), 1u);
  EXPECT_EQ(run({"prune", db_}), 2);
  EXPECT_THAT(err_, HasSubstr("nothing chosen"));
  EXPECT_EQ(run({"prune", db_, "9"}), 3);
  EXPECT_EQ(run({"prune", other_, "1"}), 3);
  EXPECT_FALSE(std::filesystem::exists(other_)) << "a misspelt name makes no database";
}

TEST_F(DbCommand, MergeSaysWhatBecameOfEachRun) {
  results::store_complete(other_, results::example_run());
  EXPECT_EQ(run({"merge", db_, other_}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("run 3, added"));
  EXPECT_EQ(run({"merge", db_, other_}), 0);
  EXPECT_THAT(out_, HasSubstr("run 3, here already"));
  EXPECT_EQ(n_runs(db_), 3u);
}

TEST_F(DbCommand, SnapshotIsADatabaseOfItsOwn) {
  EXPECT_EQ(run({"snapshot", db_, other_}), 0) << err_;
  EXPECT_EQ(n_runs(other_), 2u);
  EXPECT_EQ(run({"snapshot", db_, other_}), 3);
  EXPECT_EQ(run({"snapshot", db_, other_, "--force"}), 0);
}

TEST_F(DbCommand, ASecondWriterIsRefusedByEveryCommandThatWrites) {
  const results::Store writer = results::Store::open_for_writing(db_, "test");
  EXPECT_EQ(run({"prune", db_, "1"}), 3);
  EXPECT_THAT(err_, HasSubstr("is writing to this database"));
  EXPECT_EQ(run({"merge", db_, db_}), 3);
  EXPECT_EQ(run({"migrate", db_}), 3);
  EXPECT_EQ(run({"check", db_}), 0);
  EXPECT_EQ(run({"snapshot", db_, other_}), 0);
}

}  // namespace
}  // namespace fathom::harness
