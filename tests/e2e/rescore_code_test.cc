// `fathom rescore` of a code task: the sandbox is a process of the fathom binary, so the binary is what is
// tested.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "results/aggregate.h"
#include "results/samples.h"
#include "results/schema.h"
#include "tests/e2e/child_process.h"
#include "tests/e2e/small_run.h"
#include "tests/results/stored_runs.h"
#include "tests/temporary_folder.h"

namespace fathom::testing {
namespace {

TEST(RescoreCode, ProgramsRunAgainAndTheirEarlierVerdictsStay) {
  const TemporaryFolder folder;
  write_small_run(folder.path(), 1);
  write_code_problem(folder.path());
  const auto run = [&](const std::vector<std::string>& args) {
    ChildProcess child(args, folder.path(), folder / "out", folder / "err");
    return child.wait().exit_code;
  };
  // Confining is tested elsewhere, and not every machine can: these programs are noise and a line written
  // below.
  const std::vector<std::string> unconfined = {"--sandbox", "none", "--i-know-this-is-unsafe"};
  ASSERT_EQ(run(code_run_args(folder.path(), "results.db", unconfined)), kExitDone)
      << read_file(folder / "err");
  const std::filesystem::path db = folder / "results.db";
  results::tamper(db,
                  "UPDATE scoring SET scorer_version = '0';"
                  "UPDATE sample_io SET output = '    return 1' || char(10)");
  std::vector<std::string> rescore = {"rescore",   "1",      "--db",
                                      db.string(), "--data", (folder / "data").string()};
  rescore.insert(rescore.end(), unconfined.begin(), unconfined.end());
  ASSERT_EQ(run(rescore), kExitDone) << read_file(folder / "err");

  const results::Database database = results::open_for_reading(db);
  EXPECT_EQ(results::load_metrics(database, 1).front().value, 1.0);
  std::vector<results::StoredSample> samples;
  results::for_each_sample(database, 1, "", [&](const results::StoredSample& s) { samples.push_back(s); });
  ASSERT_EQ(samples.size(), 1u);
  ASSERT_EQ(samples[0].verdicts.size(), 2u);
  EXPECT_NE(samples[0].verdicts[0].verdict, "pass");
  EXPECT_EQ(samples[0].verdicts[1].verdict, "pass");
}

}  // namespace
}  // namespace fathom::testing
