#include "results/prune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "results/check.h"
#include "results/schema.h"
#include "tests/expect_error.h"
#include "tests/results/stored_runs.h"
#include "tests/temporary_folder.h"

namespace fathom::results {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class PruneTest : public ::testing::Test {
 protected:
  PruneTest() {
    store_complete(path_, example_run());        // 1
    store_interrupted(path_, another_run(), 5);  // 2
    store_complete(path_, longer_run());         // 3
  }

  static RunRecord longer_run() {
    RunRecord run = example_run(300);
    run.checkpoint.model = "other";
    run.tokenizer.sha256 = sha256("other tokenizer");
    return run;
  }

  static std::vector<int64_t> ids(const PrunePlan& plan) {
    std::vector<int64_t> ids;
    for (const RunInfo& run : plan.runs) ids.push_back(run.run_id);
    return ids;
  }

  PrunePlan plan(const PruneChoice& choice) { return plan_prune(open_for_reading(path_), choice); }

  void delete_runs(const PruneChoice& choice) {
    Store store = Store::open_for_writing(path_, "test");
    prune(store.database(), plan_prune(store.database(), choice));
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "results.db";
};

TEST_F(PruneTest, ChoosesNamedRunsAndThoseThatMeetEveryCondition) {
  tamper(path_, "UPDATE run SET created_us = 1000 WHERE run_id IN (1, 2)");
  EXPECT_THAT(ids(plan({.run_ids = {3}})), ElementsAre(3));
  EXPECT_THAT(ids(plan({.created_before_us = 2000})), ElementsAre(1, 2));
  EXPECT_THAT(ids(plan({.only_incomplete = true})), ElementsAre(2));
  EXPECT_THAT(ids(plan({.created_before_us = 2000, .only_incomplete = true})), ElementsAre(2));
  EXPECT_THAT(ids(plan({.run_ids = {3}, .only_incomplete = true})), ElementsAre(2, 3));
  testing::expect_error(ErrorKind::kUsage, [&] { plan({}); }, {"nothing chosen"});
}

TEST_F(PruneTest, KeepsBaselines) {
  tamper(path_, "INSERT INTO baseline VALUES('release', 1, 0)");
  const PrunePlan by_age = plan({.created_before_us = INT64_MAX});
  EXPECT_THAT(ids(by_age), ElementsAre(2, 3));
  EXPECT_THAT(by_age.kept, ElementsAre("run 1: baseline \"release\""));
  testing::expect_bad_input([&] { plan({.run_ids = {1}}); },
                            {"run 1 is the baseline \"release\"", "nothing was deleted"});
}

TEST_F(PruneTest, DeletesARunWithEverythingThatOnlyItUsed) {
  const auto size_before = std::filesystem::file_size(path_);
  delete_runs({.run_ids = {3}});
  const Database database = open_for_reading(path_);
  EXPECT_THAT(check_database(database).problems, IsEmpty());
  EXPECT_EQ(database.query_int("SELECT count(*) FROM run"), 2);
  EXPECT_EQ(database.query_int("SELECT count(*) FROM sample"), 18 + 5);
  EXPECT_EQ(database.query_int("SELECT count(*) FROM prompt"), 18);
  EXPECT_EQ(database.query_int("SELECT count(*) FROM text"), 18);
  EXPECT_EQ(database.query_int("SELECT count(*) FROM tokenizer"), 1);
  EXPECT_EQ(
      database.query_int("SELECT count(*) FROM score WHERE sample_id NOT IN (SELECT sample_id FROM sample)"),
      0);
  EXPECT_LT(std::filesystem::file_size(path_), size_before);
}

TEST_F(PruneTest, WhatOtherRunsUseStays) {
  delete_runs({.run_ids = {1}});
  const Database database = open_for_reading(path_);
  EXPECT_THAT(check_database(database).problems, IsEmpty());
  EXPECT_EQ(database.query_int("SELECT count(*) FROM run"), 2);
  EXPECT_EQ(database.query_int("SELECT count(*) FROM checkpoint"), 1);
}

TEST_F(PruneTest, ANumberIsNeverUsedAgain) {
  delete_runs({.run_ids = {3}});
  EXPECT_EQ(store_complete(path_, longer_run()), 4);
}

TEST_F(PruneTest, DeletingAllLeavesAnEmptyDatabase) {
  delete_runs({.created_before_us = INT64_MAX});
  const Database database = open_for_reading(path_);
  for (const std::string table :
       {"run", "sample", "doc", "task", "dataset", "checkpoint", "checkpoint_file", "machine", "build"}) {
    EXPECT_EQ(database.query_int("SELECT count(*) FROM " + table), 0) << table;
  }
}

}  // namespace
}  // namespace fathom::results
