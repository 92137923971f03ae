// Expected numbers: CPython 3.11, random.Random(seed).
#include "tasks/python_random.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tasks/gsm8k.h"
#include "tests/shared_data.h"

namespace fathom::tasks {
namespace {

using Indices = std::vector<int64_t>;

TEST(PythonRandom, DrawsTheBitsOfCPython) {
  PythonRandom random(1234);
  EXPECT_EQ(random.next(), 4150886329u);
  EXPECT_EQ(random.next(), 3342196574u);
  EXPECT_EQ(random.next(), 1892932127u);
  EXPECT_EQ(random.next(), 501869158u);
}

TEST(PythonRandom, SeedsOfAllSizesEqualCPythons) {
  PythonRandom zero(0);
  EXPECT_EQ(zero.next(), 3626764237u);
  EXPECT_EQ(zero.next(), 1654615998u);
  PythonRandom largest(4294967295u);
  EXPECT_EQ(largest.next(), 2728839433u);
  // Beyond one refill of the state.
  for (int i = 0; i < 1002; ++i) largest.next();
  EXPECT_EQ(largest.next(), 3973226809u);
}

TEST(PythonRandom, BelowRejectsAsCPythonDoes) {
  PythonRandom random(0);
  for (int i = 0; i < 3; ++i) random.next();
  Indices drawn;
  for (int i = 0; i < 8; ++i) drawn.push_back(random.below(7));
  EXPECT_EQ(drawn, (Indices{3, 0, 2, 4, 3, 3, 6, 6}));
}

TEST(PythonRandom, SamplesFromSmallAndLargePopulationsInCPythonsOrder) {
  PythonRandom random(1234);
  EXPECT_EQ(random.sample(10, 4), (Indices{7, 1, 0, 9}));
  EXPECT_EQ(random.sample(21, 5), (Indices{18, 1, 2, 3, 11}));         // the largest shuffled pool for 5
  EXPECT_EQ(random.sample(22, 5), (Indices{7, 0, 11, 20, 19}));        // the smallest population with a set
  EXPECT_EQ(random.sample(85, 6), (Indices{61, 78, 59, 19, 11, 23}));  // the same border for 6
  EXPECT_EQ(random.sample(86, 6), (Indices{14, 1, 64, 62, 31, 8}));
  EXPECT_EQ(random.sample(1000, 22), (Indices{683, 554, 934, 477, 70,  615, 691, 91,  527, 592, 47,
                                              276, 844, 569, 64,  660, 309, 492, 870, 363, 272, 255}));
}

TEST(PythonRandom, SamplesNothingAndEverything) {
  PythonRandom random(5);
  EXPECT_TRUE(random.sample(10, 0).empty());
  Indices all = random.sample(4, 4);
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, (Indices{0, 1, 2, 3}));
}

TEST(Gsm8kExamples, FirstDrawsAreLmEvals) {
  const std::vector<Indices> rows = gsm8k_example_rows(3, 7473, 5);
  EXPECT_EQ(rows[0], (Indices{6374, 3610, 957, 61, 742}));
  EXPECT_EQ(rows[1], (Indices{7462, 6610, 4769, 286, 5501}));
  EXPECT_EQ(rows[2], (Indices{5677, 687, 806, 6279, 2905}));
}

TEST(Gsm8kExamples, All1319DrawsEqualTheGoldenList) {
  const char* const kFile = "golden/gsm8k_lmeval_fewshot_idx_seed1234.json";
  FATHOM_REQUIRE_SHARED_DATA(kFile);
  const auto golden =
      nlohmann::json::parse(read_file(testing::shared_data() / kFile)).get<std::vector<Indices>>();
  ASSERT_EQ(golden.size(), 1319u);
  EXPECT_EQ(gsm8k_example_rows(1319, 7473, 5), golden);
}

}  // namespace
}  // namespace fathom::tasks
