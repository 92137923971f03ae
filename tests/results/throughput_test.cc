#include "results/throughput.h"

#include <gtest/gtest.h>

#include "results/store.h"
#include "tests/results/example_run.h"
#include "tests/temporary_folder.h"

namespace fathom::results {
namespace {

PerfTick tick(int64_t rank, int64_t t_us, int64_t dt_us) {
  PerfTick tick{.rank = rank,
                .t_us = t_us,
                .dt_us = dt_us,
                .n_samples = 10,
                .prefill_tokens = 700,
                .decode_tokens = 20,
                .cached_tokens = 300,
                .n_running = rank + 1,
                .n_waiting = 5,
                .blocks_used = 3,
                .blocks_total = 64,
                .rss_bytes = 1000 * (rank + 1),
                .cpu_us = 2'000'000};
  tick.first_token.add(1000);
  tick.inter_token.add(100);
  tick.inter_token.add(200);
  return tick;
}

class ThroughputTest : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
  Store store_ = Store::open_for_writing(folder_ / "results.db", "test");
  int64_t run_id_ = store_.begin_run(example_run()).run_id;
};

TEST_F(ThroughputTest, SumsTheTicksOfAllRanksAndTakesTheLongestTime) {
  store_.add_tick(tick(0, 1, 1'000'000));
  store_.add_tick(tick(0, 2, 3'000'000));
  store_.add_tick(tick(1, 2, 1'500'000));
  store_.finish_run(RunStatus::kInterrupted, "test");
  const std::optional<RunThroughput> t = run_throughput(store_.database(), run_id_);
  ASSERT_TRUE(t);
  EXPECT_DOUBLE_EQ(t->wall_s, 4.0);
  EXPECT_DOUBLE_EQ(t->cpu_s, 6.0);
  EXPECT_EQ(t->n_samples, 30);
  EXPECT_DOUBLE_EQ(t->samples_per_s(), 7.5);
  EXPECT_DOUBLE_EQ(t->prefill_tokens_per_s(), 2100 / 4.0);
  EXPECT_DOUBLE_EQ(t->decode_tokens_per_s(), 60 / 4.0);
  EXPECT_EQ(t->cached_tokens, 900);
  EXPECT_DOUBLE_EQ(*t->core_s_per_sample(), 0.2);
  EXPECT_EQ(t->max_running, 2);
  EXPECT_EQ(t->max_waiting, 5);
  EXPECT_EQ(t->max_blocks_used, 3);
  EXPECT_EQ(t->blocks_total, 64);
  EXPECT_EQ(t->first_token.count(), 3);
  EXPECT_EQ(t->inter_token.count(), 6);
  EXPECT_EQ(t->max_rss_bytes, 2000);
  EXPECT_FALSE(t->max_device_bytes);
}

TEST_F(ThroughputTest, ARunWithoutTicksHasNone) {
  store_.finish_run(RunStatus::kInterrupted, "test");
  EXPECT_FALSE(run_throughput(store_.database(), run_id_));
}

TEST_F(ThroughputTest, TicksAreStoredWithTheSamplesOfTheirCommit) {
  store_.add_tick(tick(0, 1, 1'000'000));
  EXPECT_FALSE(run_throughput(store_.database(), run_id_));
  store_.commit_samples(std::vector{example_sample(example_run(), 0, 0)});
  EXPECT_EQ(run_throughput(store_.database(), run_id_)->n_samples, 10);
}

}  // namespace
}  // namespace fathom::results
