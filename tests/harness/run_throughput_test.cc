// The throughput record of real runs of the embedded engine, against what their samples say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "results/schema.h"
#include "tests/e2e/small_run.h"
#include "tests/harness/captured_command.h"
#include "tests/temporary_folder.h"

namespace fathom::harness {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class RunThroughputTest : public ::testing::Test {
 protected:
  RunThroughputTest() { testing::write_small_run(folder_.path(), 10); }

  json throughput_of(const std::string& task, const std::vector<std::string>& more) {
    std::vector<std::string> args = testing::small_run_args(folder_.path(), "results.db", more);
    args[1] = task;
    table_ = output_of(args);
    return json::parse(output_of({"show", "latest", "--db", db_, "--json"})).at("throughput");
  }

  int64_t sum(const std::string& expression) {
    return results::open_for_reading(db_).query_int("SELECT sum(" + expression + ") FROM sample");
  }

  testing::TemporaryFolder folder_;
  std::string db_ = (folder_ / "results.db").string();
  std::string table_;
};

TEST_F(RunThroughputTest, CountsTheTokensOfGenerations) {
  const json t = throughput_of("mmlu_abstract_algebra_generative", {"--max-new-tokens", "6"});
  EXPECT_EQ(t["samples"], 10);
  EXPECT_EQ(t["decode_tokens"], sum("n_output"));
  EXPECT_GE(sum("n_output"), 20) << "the test needs generations of several tokens";
  EXPECT_EQ(t["inter_token"]["n"], sum("n_output - 1"));
  EXPECT_EQ(t["first_token"]["n"], 10);
  EXPECT_EQ(t["prefill_tokens"].get<int64_t>() + t["cached_tokens"].get<int64_t>(), sum("n_prompt"));
  EXPECT_GT(t["blocks_total"], 0);
  EXPECT_GT(t["cpu_s"], 0.0);
  EXPECT_GT(t["max_rss_bytes"], 1 << 20);
  EXPECT_TRUE(t["max_device_bytes"].is_null());
  EXPECT_THAT(table_, HasSubstr("generated tokens/s"));
  EXPECT_THAT(table_, HasSubstr("latency between generated tokens: median"));
}

TEST_F(RunThroughputTest, CountsTheTokensOfChoices) {
  const json t = throughput_of("mmlu_abstract_algebra", {});
  EXPECT_EQ(t["decode_tokens"], 0);
  EXPECT_TRUE(t["inter_token"].is_null());
  // To this tokenizer each of the four letters is a space and a letter: one more token is fed for each.
  EXPECT_EQ(t["prefill_tokens"].get<int64_t>() + t["cached_tokens"].get<int64_t>(), sum("n_prompt") + 10 * 4);
  EXPECT_DOUBLE_EQ(t["core_s_per_sample"], t["cpu_s"].get<double>() / 10);
  EXPECT_THAT(table_, HasSubstr("core-seconds a sample"));
}

}  // namespace
}  // namespace fathom::harness
