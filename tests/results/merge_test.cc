#include "results/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "results/aggregate.h"
#include "results/check.h"
#include "results/runs.h"
#include "results/samples.h"
#include "results/schema.h"
#include "results/snapshot.h"
#include "tests/expect_error.h"
#include "tests/results/stored_runs.h"
#include "tests/temporary_folder.h"

namespace fathom::results {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using What = MergedRun::What;

class MergeTest : public ::testing::Test {
 protected:
  std::vector<MergedRun> merge(const std::filesystem::path& from) {
    Store store = Store::open_for_writing(into_, "test");
    return merge_runs(store.database(), from, "test");
  }

  static std::vector<What> what(const std::vector<MergedRun>& runs) {
    std::vector<What> all;
    for (const MergedRun& run : runs) all.push_back(run.what);
    return all;
  }

  void expect_sound() { EXPECT_THAT(check_database(open_for_reading(into_)).problems, IsEmpty()); }

  // Refused, and nothing changed.
  void expect_refusal(std::initializer_list<std::string_view> words) {
    const auto counts = [&] {
      const Database database = open_for_reading(into_);
      return std::pair(database.query_int("SELECT count(*) FROM run"),
                       database.query_int("SELECT count(*) FROM prompt"));
    };
    const auto before = counts();
    testing::expect_bad_input([&] { merge(from_); }, words);
    EXPECT_EQ(counts(), before);
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      EXPECT_EQ(entry.path().filename().string().find(".merge-"), std::string::npos) << entry.path();
    }
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path into_ = folder_ / "into.db";
  std::filesystem::path from_ = folder_ / "from.db";
};

TEST_F(MergeTest, TakesRunsWithEverythingThatBelongsToThem) {
  store_complete(into_, another_run());
  RunRecord run = example_run();
  run.tasks[1].docs.resize(3);
  store_complete(from_, run);
  store_interrupted(from_, another_run(), 4);
  EXPECT_THAT(what(merge(from_)), ElementsAre(What::kAdded, What::kAdded));
  expect_sound();
  const Database mine = open_for_reading(into_);
  const Database theirs = open_for_reading(from_);
  EXPECT_THAT(list_runs(mine), ::testing::SizeIs(3));
  EXPECT_EQ(run_info(mine, 2).uuid, run_info(theirs, 1).uuid);
  EXPECT_EQ(run_info(mine, 2).plan_json, run_info(theirs, 1).plan_json);
  EXPECT_EQ(run_info(mine, 2).manifest_sha256, run_info(theirs, 1).manifest_sha256);
  EXPECT_THAT(run_info(mine, 2).tags, ElementsAre("nightly"));
  EXPECT_EQ(run_info(mine, 3).status, RunStatus::kInterrupted);
  std::vector<StoredSample> a;
  std::vector<StoredSample> b;
  for_each_sample(mine, 2, "", [&](const StoredSample& s) { a.push_back(s); });
  for_each_sample(theirs, 1, "", [&](const StoredSample& s) { b.push_back(s); });
  ASSERT_EQ(a.size(), 11u);
  ASSERT_EQ(b.size(), 11u);
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].doc_sha256, b[i].doc_sha256);
    EXPECT_EQ(a[i].ids_sha256, b[i].ids_sha256);
    EXPECT_EQ(a[i].choice_logprobs, b[i].choice_logprobs);
    ASSERT_EQ(a[i].scores.size(), 2u);
    EXPECT_EQ(a[i].scores[0].value, b[i].scores[0].value);
  }
  EXPECT_EQ(mine.query_int("SELECT count(*) FROM prompt"), 18) << "shared prompts are there once";
}

TEST_F(MergeTest, AgainChangesNothing) {
  store_complete(into_, another_run());
  store_complete(from_, example_run());
  merge(from_);
  const auto dump = [&] {
    const Database database = open_for_reading(into_);
    std::string counts;
    for (const std::string table :
         {"run", "sample", "score", "metric", "doc", "prompt", "text", "checkpoint", "perf_tick", "task"}) {
      counts += fmt::format("{} ", database.query_int("SELECT count(*) FROM " + table));
    }
    return counts;
  };
  const std::string before = dump();
  EXPECT_THAT(what(merge(from_)), ElementsAre(What::kPresent));
  EXPECT_EQ(dump(), before);
  expect_sound();
}

TEST_F(MergeTest, ARunThatWentOnElsewhereKeepsItsNumberAndItsBaseline) {
  store_interrupted(into_, example_run(), 5);
  store_complete(into_, another_run());
  tamper(into_, "INSERT INTO baseline VALUES('first', 1, 0)");
  snapshot(into_, from_, Existing::kKeep);
  store_complete(from_, example_run(), Start::kResume);  // goes on with run 1
  EXPECT_THAT(what(merge(from_)), ElementsAre(What::kContinued, What::kPresent));
  expect_sound();
  const Database mine = open_for_reading(into_);
  EXPECT_EQ(run_info(mine, 1).status, RunStatus::kComplete);
  EXPECT_EQ(run_info(mine, 1).n_stored, 18);
  EXPECT_EQ(mine.query_int("SELECT run_id FROM baseline"), 1);
  EXPECT_EQ(mine.query_int("SELECT count(*) FROM run_attempt WHERE run_id = 1"), 2);
}

TEST_F(MergeTest, ARunThatIsShorterThereStaysAsItIsHere) {
  store_interrupted(from_, example_run(), 5);
  snapshot(from_, into_, Existing::kKeep);
  store_complete(into_, example_run(), Start::kResume);
  EXPECT_THAT(what(merge(from_)), ElementsAre(What::kPresent));
  EXPECT_EQ(run_info(open_for_reading(into_), 1).n_stored, 18);
}

TEST_F(MergeTest, OtherAnswersUnderTheSameUuidAreRefused) {
  store_interrupted(into_, example_run(), 5);
  snapshot(into_, from_, Existing::kKeep);
  store_complete(from_, example_run(), Start::kResume);
  tamper(from_, "UPDATE sample_io SET choice_logprobs = zeroblob(32) WHERE sample_id = 2");
  expect_refusal({"its run 1 has the UUID of run 1 here", "1 of the answers here are missing or different"});
}

TEST_F(MergeTest, ARunAtWorkIsLeftOut) {
  store_complete(into_, another_run());
  Store writer = Store::open_for_writing(from_, "test");
  writer.begin_run(example_run());
  writer.commit_samples(std::vector{example_sample(example_run(), 0, 0)});
  EXPECT_THAT(what(merge(from_)), ElementsAre(What::kRunning));
  EXPECT_EQ(list_runs(open_for_reading(into_)).size(), 1u);
}

TEST_F(MergeTest, ARunWhoseProcessWasKilledIsTakenAsInterrupted) {
  store_complete(into_, another_run());
  {
    Store writer = Store::open_for_writing(from_, "test");
    writer.begin_run(example_run());
    writer.commit_samples(std::vector{example_sample(example_run(), 0, 0)});
  }  // the process ends without a word
  EXPECT_THAT(what(merge(from_)), ElementsAre(What::kAdded));
  EXPECT_EQ(run_info(open_for_reading(into_), 2).status, RunStatus::kInterrupted);
}

TEST_F(MergeTest, ReusedSamplesNameTheirRunByItsNumberHere) {
  store_complete(into_, another_run());
  RunRecord small = example_run();
  small.tasks[0].docs.resize(3);
  store_complete(from_, small);
  store_complete(from_, example_run(), Start::kResume);
  EXPECT_EQ(open_for_reading(from_).query_int("SELECT count(*) FROM sample WHERE reused_from = 1"), 13);
  merge(from_);
  EXPECT_EQ(open_for_reading(into_).query_int("SELECT count(*) FROM sample WHERE reused_from = 2"), 13);
  expect_sound();
}

TEST_F(MergeTest, TicksAndVerdictsComeAlong) {
  store_complete(into_, another_run());
  store_complete(from_, example_run());
  store_complete(from_, another_run());
  tamper(
      from_,
      "INSERT INTO perf_tick VALUES(1, 0, 5, 1000, 1, 3, 10, 0, 0, 1, 2, NULL, NULL, x'', x'', 100, NULL, 7);"
      "INSERT INTO policy VALUES(x'44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', '{}');"
      "INSERT INTO verdict SELECT 1, 1, 2, policy_sha256, 'pass', '{}', 9 FROM policy");
  merge(from_);
  const Database mine = open_for_reading(into_);
  EXPECT_EQ(mine.query_int("SELECT run_id FROM perf_tick"), 2);
  EXPECT_EQ(mine.query_text("SELECT base_run_id || ' ' || cand_run_id FROM verdict"), "2 3");
  merge(from_);
  EXPECT_EQ(open_for_reading(into_).query_int("SELECT count(*) FROM verdict"), 1);
}

TEST_F(MergeTest, BadRowsAreRefusedByName) {
  store_complete(into_, another_run());
  store_complete(from_, example_run());
  tamper(from_, "UPDATE text SET content = 'poisoned' WHERE text_id = 2");
  expect_refusal({"from.db", "text 2: its content has another hash", "nothing was merged"});
}

TEST_F(MergeTest, EditedScoresAreRefused) {
  store_complete(into_, another_run());
  store_complete(from_, example_run());
  tamper(from_, "UPDATE score SET value = 1 WHERE scoring_id = 1");
  expect_refusal({"run 1", "is not what the scores give"});
}

TEST_F(MergeTest, TriggersAndViewsAreRefused) {
  store_complete(into_, another_run());
  store_complete(from_, example_run());
  tamper(from_, "CREATE TRIGGER evil AFTER UPDATE ON run BEGIN DELETE FROM sample; END");
  expect_refusal({"trigger \"evil\""});
}

TEST_F(MergeTest, MissingColumnsAreRefused) {
  store_complete(into_, another_run());
  store_complete(from_, example_run());
  tamper(from_, "ALTER TABLE perf_tick RENAME COLUMN cpu_us TO cpu");
  expect_refusal({"perf_tick.cpu_us", "missing or of another type"});
}

TEST_F(MergeTest, ForeignNewerAndMissingFilesAreRefused) {
  store_complete(into_, another_run());
  std::ofstream(from_) << std::string(9000, 'x');
  expect_refusal({"not a fathom results database"});
  std::filesystem::remove(from_);
  expect_refusal({"no such results database"});
  store_complete(from_, example_run());
  tamper(from_, "UPDATE schema_migration SET min_reader = 900; PRAGMA user_version = 900");
  expect_refusal({"newer fathom (schema 900"});
  testing::expect_bad_input([&] { merge(into_); }, {"cannot be merged into itself"});
}

TEST_F(MergeTest, AnOlderSchemaIsBroughtUpToDateInACopy) {
  store_complete(into_, another_run());
  {
    Database old(from_, Database::Access::kReadWrite);
    old.execute(read_file(std::filesystem::path(FATHOM_SOURCE_DIR) / "tests/golden/results/schema_1.sql"));
  }
  EXPECT_THAT(what(merge(from_)), ElementsAre(What::kAdded, What::kAdded));
  expect_sound();
  EXPECT_EQ(Database(from_, Database::Access::kReadOnly).query_int("PRAGMA user_version"), 1)
      << "theirs is not touched";
}

}  // namespace
}  // namespace fathom::results
