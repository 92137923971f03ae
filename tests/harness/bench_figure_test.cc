#include "harness/bench/figure.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fathom::harness {
namespace {

const MachinePeaks kPeaks{.flops = 100e9, .read_bandwidth = 20e9};

TEST(BenchFigure, RatesAreOfTheMedianRepeat) {
  const Figure odd{.name = "x", .unit = "tok/s", .items = 60, .seconds = {6, 1, 2}};
  EXPECT_DOUBLE_EQ(odd.rate(), 30);
  const Figure even{.name = "x", .unit = "tok/s", .items = 60, .seconds = {4, 1, 2, 100}};
  EXPECT_DOUBLE_EQ(even.rate(), 20);
  EXPECT_FALSE(even.share_of_peak(kPeaks).has_value());
}

TEST(BenchFigure, TheRoofIsTheLimitThatIsKnown) {
  const Figure computes{.name = "p", .unit = "tok/s", .items = 1, .seconds = {2}, .flop = 120e9};
  EXPECT_DOUBLE_EQ(*computes.share_of_peak(kPeaks), 0.6);
  EXPECT_NE(figure_line(computes, kPeaks).find("60.0 % of FMA"), std::string::npos);
  const Figure reads{.name = "d", .unit = "tok/s", .items = 1, .seconds = {2}, .bytes = 10e9};
  EXPECT_DOUBLE_EQ(*reads.share_of_peak(kPeaks), 0.25);
  EXPECT_NE(figure_line(reads, kPeaks).find("25.0 % of read bandwidth"), std::string::npos);
}

TEST(BenchFigure, DotProductsAndFp32AddUpToOneRoof) {
  MachinePeaks peaks = kPeaks;
  const Figure figure{.name = "p",
                      .unit = "tok/s",
                      .items = 1,
                      .seconds = {2},
                      .flop = 50e9,
                      .dot_products = {{kernels::Compute::kI8, 200e9}}};
  EXPECT_FALSE(figure.share_of_peak(peaks).has_value());
  peaks.dot_products[kernels::Compute::kI8] = 400e9;
  EXPECT_DOUBLE_EQ(*figure.share_of_peak(peaks), 0.5);
  EXPECT_NE(figure_line(figure, peaks).find("50.0 % of int8 dot products and FMA"), std::string::npos);
}

TEST(BenchFigure, TheShareOfASweepIsTheMedianOverThePairs) {
  Figure figure{.name = "d", .unit = "tok/s", .items = 1, .seconds = {2, 4, 1}, .bytes = 1e9};
  EXPECT_FALSE(figure.share_of_sweep().has_value());
  figure.sweep_seconds = {1.8, 1, 0.8};  // 0.9, 0.25, 0.8
  EXPECT_DOUBLE_EQ(*figure.share_of_sweep(), 0.8);
  EXPECT_NE(figure_line(figure, kPeaks).find(", 80.0 % of a read sweep"), std::string::npos);
  EXPECT_EQ(figure_entries(figure)[1]["sweep_time"], 1000.0);
}

TEST(BenchFigure, TheTimeToTheFirstTokenIsTheMedianRepeats) {
  const Figure figure{
      .name = "g", .unit = "tok/s", .items = 1, .seconds = {20, 30, 40}, .first_token_seconds = {9, 7.5, 3}};
  EXPECT_NE(figure_line(figure, kPeaks).find("30.00 s in all, 7.50 s to the first token"), std::string::npos);
  EXPECT_EQ(figure_entries(figure)[2]["first_token_time"], 3000.0);
}

TEST(BenchFigure, JsonHasOneEntryARepeatInGoogleBenchmarksLayout) {
  const std::vector<Figure> figures = {
      {.name = "prefill/8", .unit = "tok/s", .items = 8, .seconds = {0.5, 0.25}, .flop = 1e9}};
  const nlohmann::json json = figures_json(figures, kPeaks, {{"num_cpus", 2}});
  EXPECT_EQ(json["context"]["num_cpus"], 2);
  EXPECT_EQ(json["context"]["fma_flop_per_second"], 100e9);
  ASSERT_EQ(json["benchmarks"].size(), 2u);
  const nlohmann::json& second = json["benchmarks"][1];
  EXPECT_EQ(second["name"], "prefill/8");
  EXPECT_EQ(second["run_type"], "iteration");
  EXPECT_EQ(second["repetition_index"], 1);
  EXPECT_EQ(second["real_time"], 250.0);
  EXPECT_EQ(second["time_unit"], "ms");
  EXPECT_EQ(second["tok/s"], 32.0);
  EXPECT_EQ(second["flop_per_second"], 4e9);
}

}  // namespace
}  // namespace fathom::harness
