#include "results/migrations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "base/file.h"
#include "results/aggregate.h"
#include "results/runs.h"
#include "results/samples.h"
#include "results/schema.h"
#include "results/store.h"
#include "tests/results/example_run.h"
#include "tests/temporary_folder.h"

namespace fathom::results {
namespace {

using ::testing::HasSubstr;

// Tables, columns and indexes, however they came to be.
std::multiset<std::string> shape_of(const Database& database) {
  std::multiset<std::string> shape;
  Statement columns = database.prepare(
      "SELECT m.name, c.cid, c.name, c.type, c.\"notnull\", ifnull(c.dflt_value, ''), c.pk FROM "
      "sqlite_schema m"
      " JOIN pragma_table_xinfo(m.name) c WHERE m.type = 'table'");
  while (columns.step()) {
    std::string line;
    for (int i = 0; i < 7; ++i) line += columns.text(i) + "|";
    shape.insert(line);
  }
  Statement indexes = database.prepare(
      "SELECT m.name, i.name, i.\"unique\", x.seqno, ifnull(x.name, '') FROM sqlite_schema m"
      " JOIN pragma_index_list(m.name) i JOIN pragma_index_info(i.name) x WHERE m.type = 'table'");
  while (indexes.step()) {
    std::string line = "index ";
    for (int i = 0; i < 5; ++i) line += indexes.text(i) + "|";
    shape.insert(line);
  }
  Statement foreign = database.prepare(
      "SELECT m.name, f.\"from\", f.\"table\", f.on_delete FROM sqlite_schema m"
      " JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'");
  while (foreign.step())
    shape.insert(foreign.text(0) + "->" + foreign.text(1) + foreign.text(2) + foreign.text(3));
  return shape;
}

class MigrationsTest : public ::testing::TestWithParam<int64_t> {
 protected:
  MigrationsTest() {
    Database database(path_, Database::Access::kReadWrite);
    const auto dump = std::filesystem::path(FATHOM_SOURCE_DIR) / "tests/golden/results" /
                      ("schema_" + std::to_string(GetParam()) + ".sql");
    database.execute(read_file(dump));
    EXPECT_EQ(database.query_int("PRAGMA user_version"), GetParam());
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "old.db";
};

TEST_P(MigrationsTest, GivesTheSchemaOfANewDatabase) {
  Store::open_for_writing(path_, "test");
  Store::open_for_writing(folder_ / "new.db", "test");
  EXPECT_EQ(shape_of(open_for_reading(path_)), shape_of(open_for_reading(folder_ / "new.db")));
}

TEST_P(MigrationsTest, KeepsRunsSamplesAndMetrics) {
  Store::open_for_writing(path_, "test");
  const Database database = open_for_reading(path_);
  const std::vector<RunInfo> runs = list_runs(database);
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[1].name, "example");
  EXPECT_EQ(runs[1].n_stored, 10);
  EXPECT_EQ(runs[0].name, "cut short");
  EXPECT_EQ(runs[0].n_stored, 3);
  EXPECT_EQ(runs[0].n_errors, 1);
  EXPECT_EQ(runs[0].status, RunStatus::kInterrupted);
  std::vector<StoredSample> samples;
  for_each_sample(database, 2, "", [&](const StoredSample& s) { samples.push_back(s); });
  ASSERT_EQ(samples.size(), 3u);
  EXPECT_EQ(samples[0].choice_logprobs[0], -0.1234567890123456);
  EXPECT_EQ(samples[1].error, "too long");
  EXPECT_EQ(samples[2].verdicts[0].verdict, "timeout");
  // The stored metrics are still what the stored scores give.
  const std::vector<MetricRecord> stored = load_metrics(database, 1);
  const std::vector<MetricRecord> computed = compute_metrics(database, 1);
  ASSERT_EQ(stored.size(), computed.size());
  for (size_t i = 0; i < stored.size(); ++i) EXPECT_EQ(stored[i].value, computed[i].value) << stored[i].scope;
}

TEST_P(MigrationsTest, KeepsACopyOfTheOldFile) {
  Store::open_for_writing(path_, "test");
  const Database copy(path_.string() + ".bak-v" + std::to_string(GetParam()), Database::Access::kReadOnly);
  EXPECT_EQ(copy.query_int("PRAGMA user_version"), GetParam());
  EXPECT_EQ(copy.query_int("SELECT count(*) FROM sample"), 13);
}

TEST_P(MigrationsTest, AnInterruptedRunContinuesAfterwards) {
  RunRecord run = example_run(4);
  run.tasks[1].scorings[0].kind = ScoreKind::kBounded;
  run.name = "cut short";
  run.parameters_json = R"({"seed":1})";
  Store store = Store::open_for_writing(path_, "test");
  const StartedRun started = store.begin_run(run);
  EXPECT_EQ(started.run_id, 2);
  EXPECT_EQ(started.stored.size(), 2u);
}

TEST_P(MigrationsTest, ReadersOfAnOldFileAreToldWhatToDo) {
  try {
    open_for_reading(path_);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("fathom db migrate"));
  }
}

TEST_P(MigrationsTest, ADamagedFileIsNotTouched) {
  {
    Database database(path_, Database::Access::kReadWrite);
    database.execute("PRAGMA foreign_keys = OFF; DELETE FROM prompt");
  }
  try {
    Store::open_for_writing(path_, "test");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("damaged"));
  }
  EXPECT_EQ(Database(path_, Database::Access::kReadOnly).query_int("PRAGMA user_version"), GetParam());
}

INSTANTIATE_TEST_SUITE_P(EveryOlderVersion, MigrationsTest, ::testing::Range(int64_t{1}, kSchemaVersion));

TEST(Migrations, LeadToTheVersionThatIsWritten) {
  ASSERT_EQ(static_cast<int64_t>(migrations().size()), kSchemaVersion - 1);
  for (size_t i = 0; i < migrations().size(); ++i)
    EXPECT_EQ(migrations()[i].version, static_cast<int64_t>(i) + 2);
}

}  // namespace
}  // namespace fathom::results
