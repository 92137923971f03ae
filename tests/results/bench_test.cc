#include "results/bench.h"

#include <gtest/gtest.h>

#include "results/check.h"
#include "results/merge.h"
#include "results/schema.h"
#include "results/store.h"
#include "tests/temporary_folder.h"

namespace fathom::results {
namespace {

BenchRecord example(int64_t created_us) {
  return {.created_us = created_us,
          .build = {.version = "0.1.0", .git_commit = "abc", .git_dirty = true, .compiler = "g++"},
          .machine_json = R"({"cpu":"a"})",
          .command_json = R"(["bench","gemm"])",
          .context_json = R"({"threads":2})",
          .figures = {{.name = "gemm/512",
                       .unit = "GFLOP/s",
                       .rate = 81.5,
                       .share = 0.875,
                       .share_of = "FMA",
                       .repeats_json = "[1]"},
                      {.name = "tokenizer/1000KB", .unit = "MB/s", .rate = 20, .repeats_json = "[]"}}};
}

TEST(Bench, IsStoredWithWhereItWasMeasured) {
  const testing::TemporaryFolder folder;
  {
    Store store = Store::open_for_writing(folder / "a.db", "test");
    EXPECT_EQ(store_bench(store.database(), example(1)), 1);
    EXPECT_EQ(store_bench(store.database(), example(2)), 2);
  }
  const std::vector<StoredBench> all = list_benches(open_for_reading(folder / "a.db"));
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].bench_id, 2);
  const BenchRecord& bench = all[1].bench;
  EXPECT_EQ(bench.created_us, 1);
  EXPECT_EQ(bench.build.git_commit, "abc");
  EXPECT_TRUE(bench.build.git_dirty);
  EXPECT_EQ(bench.machine_json, R"({"cpu":"a"})");
  EXPECT_EQ(bench.command_json, R"(["bench","gemm"])");
  EXPECT_EQ(bench.context_json, R"({"threads":2})");
  ASSERT_EQ(bench.figures.size(), 2u);
  EXPECT_EQ(bench.figures[0].name, "gemm/512");
  EXPECT_EQ(bench.figures[0].rate, 81.5);
  EXPECT_EQ(bench.figures[0].share, 0.875);
  EXPECT_EQ(bench.figures[0].share_of, "FMA");
  EXPECT_EQ(bench.figures[0].repeats_json, "[1]");
  EXPECT_EQ(bench.figures[1].share, std::nullopt);
}

TEST(Bench, IsTakenOverByAMergeOnce) {
  const testing::TemporaryFolder folder;
  for (const char* name : {"a.db", "b.db"}) {
    Store store = Store::open_for_writing(folder / name, "test");
    store_bench(store.database(), example(1));
  }
  {
    Store store = Store::open_for_writing(folder / "b.db", "test");
    store_bench(store.database(), example(7));
  }
  for (int i = 0; i < 2; ++i) {
    Store into = Store::open_for_writing(folder / "a.db", "test");
    merge_runs(into.database(), folder / "b.db", "test");
  }
  const std::vector<StoredBench> all = list_benches(open_for_reading(folder / "a.db"));
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].bench.created_us, 7);
  EXPECT_EQ(all[0].bench.figures.size(), 2u);
}

}  // namespace
}  // namespace fathom::results
