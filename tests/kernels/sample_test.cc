#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "kernels/kernels.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/compare.h"

namespace fathom::kernels {
namespace {

struct Drawn {
  std::vector<int32_t> ids;
  std::vector<float> logprobs;
};

Drawn draw(const Array& logits, const std::vector<RowSampling>& rows, int n_threads = 2) {
  const auto t = static_cast<int64_t>(rows.size());
  Array ids(Dtype::kI32, {t});
  Array logprobs(Dtype::kF32, {t});
  TestStream stream(n_threads);
  Buffer scratch(space_under_test(), sample_scratch_bytes(stream, t, logits.size() / t));
  sample(stream, {.logits = logits.tensor(),
                  .rows = rows,
                  .ids = ids.tensor(),
                  .logprobs = logprobs.tensor(),
                  .scratch = scratch.scratch()});
  return {{ids.int_values().begin(), ids.int_values().end()},
          {logprobs.values().begin(), logprobs.values().end()}};
}

/// How often each id comes up in n draws at positions 0 .. n-1.
std::map<int32_t, int> frequencies(const std::vector<float>& logits, float temperature, float top_p, int n,
                                   uint64_t seed = 7) {
  std::vector<float> all;
  std::vector<RowSampling> rows;
  for (int i = 0; i < n; ++i) {
    all.insert(all.end(), logits.begin(), logits.end());
    rows.push_back({temperature, top_p, seed, i});
  }
  std::map<int32_t, int> counts;
  for (int32_t id : draw(Array::of(all, {n, static_cast<int64_t>(logits.size())}), rows).ids) ++counts[id];
  return counts;
}

TEST(Sample, TemperatureZeroIsGreedyWithTiesToTheLowestId) {
  const Drawn drawn = draw(Array::of({1, 5, 5, 2}, {1, 4}), {{.temperature = 0}});
  EXPECT_EQ(drawn.ids[0], 1);
  EXPECT_NEAR(drawn.logprobs[0], 5 - std::log(std::exp(1) + 2 * std::exp(5) + std::exp(2)), 1e-6);
}

TEST(Sample, FrequenciesFollowTheTemperedDistribution) {
  on_every_instruction_set([] {
    const std::vector<float> logits = {0.0f, 1.0f, -1.0f, 2.0f, 0.5f};
    for (float temperature : {0.5f, 1.0f, 2.0f}) {
      const int n = space_under_test() == Space::kCpu ? 20000 : 1000;  // the emulated device is slow
      const std::map<int32_t, int> counts = frequencies(logits, temperature, 1.0f, n);
      double sum = 0.0;
      for (float v : logits) sum += std::exp(v / temperature);
      for (int32_t v = 0; v < 5; ++v) {
        const double p = std::exp(logits[static_cast<size_t>(v)] / temperature) / sum;
        const double deviation = std::sqrt(p * (1 - p) / n);
        EXPECT_NEAR(static_cast<double>(counts.contains(v) ? counts.at(v) : 0) / n, p, 5 * deviation) << v;
      }
    }
  });
}

TEST(Sample, TopPKeepsTheSmallestSetThatReachesItWithTheTokenThatCrosses) {
  // Probabilities .4 .3 .2 .1, not in this order.
  const std::vector<float> logits = {std::log(0.2f), std::log(0.4f), std::log(0.1f), std::log(0.3f)};
  const auto kept = [&](float top_p) {
    std::vector<int32_t> ids;
    const int n = space_under_test() == Space::kCpu ? 3000 : 300;
    for (const auto& [id, count] : frequencies(logits, 1.0f, top_p, n)) ids.push_back(id);
    return ids;
  };
  EXPECT_EQ(kept(0.05f), (std::vector<int32_t>{1}));
  EXPECT_EQ(kept(0.39f), (std::vector<int32_t>{1}));
  EXPECT_EQ(kept(0.45f), (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(kept(0.69f), (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(kept(0.75f), (std::vector<int32_t>{0, 1, 3}));
  EXPECT_EQ(kept(1.0f), (std::vector<int32_t>{0, 1, 2, 3}));
}

TEST(Sample, TopPKeepsTheLowestIdsAmongEquals) {
  // .3 and seven times .1: .55 needs three of the seven.
  std::vector<float> logits(8, std::log(0.1f));
  logits[5] = std::log(0.3f);
  std::vector<int32_t> ids;
  for (const auto& [id, count] : frequencies(logits, 1.0f, 0.55f, 300)) ids.push_back(id);
  EXPECT_EQ(ids, (std::vector<int32_t>{0, 1, 2, 5}));
}

TEST(Sample, TopPOfALargeVocabularyLeavesTheNucleusAlone) {
  on_every_instruction_set([] {
    Random random(8);
    const int64_t vocab = 700;
    std::vector<float> logits;
    for (int64_t v = 0; v < vocab; ++v) logits.push_back(static_cast<float>(random.uniform(-2, 2)));
    std::vector<int32_t> order(static_cast<size_t>(vocab));
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
    });
    double total = 0.0;
    for (float v : logits) total += std::exp(static_cast<double>(v));
    double sum = 0.0;
    std::set<int32_t> nucleus;
    for (size_t i = 0; sum < 0.1 * total; ++i) {
      sum += std::exp(static_cast<double>(logits[static_cast<size_t>(order[i])]));
      nucleus.insert(order[i]);
    }
    std::set<int32_t> drawn;
    for (const auto& [id, count] : frequencies(logits, 1.0f, 0.1f, 300)) drawn.insert(id);
    EXPECT_TRUE(std::includes(nucleus.begin(), nucleus.end(), drawn.begin(), drawn.end()));
    EXPECT_GT(drawn.size(), nucleus.size() * 9 / 10) << nucleus.size();
  });
}

TEST(Sample, TopPComesAfterTemperature) {
  // At temperature 4 the same logits are flat enough that .45 needs a third token.
  const std::vector<float> logits = {std::log(0.2f), std::log(0.4f), std::log(0.1f), std::log(0.3f)};
  const std::map<int32_t, int> counts = frequencies(logits, 4.0f, 0.6f, 300);
  EXPECT_EQ(counts.size(), 3u);
}

TEST(Sample, DrawsDependOnSeedAndPositionAlone) {
  Random random(1);
  const int64_t n = 40, vocab = 500;
  Array logits = Array::uniform(random, Dtype::kF32, {n, vocab}, -2, 2);
  std::vector<RowSampling> rows;
  for (int64_t i = 0; i < n; ++i) rows.push_back({1.3f, 0.9f, static_cast<uint64_t>(i % 3), i * 7});
  const Drawn all = draw(logits, rows, 4);
  for (int64_t i = 0; i < n; ++i) {
    const Array row = Array::of(
        {logits.values().begin() + i * vocab, logits.values().begin() + (i + 1) * vocab}, {1, vocab});
    const Drawn one = draw(row, {rows[static_cast<size_t>(i)]}, 1);
    EXPECT_EQ(one.ids[0], all.ids[static_cast<size_t>(i)]);
    EXPECT_TRUE(same_bits(one.logprobs, std::span(all.logprobs).subspan(static_cast<size_t>(i), 1)));
  }
}

TEST(Sample, OtherSeedsAndOtherPositionsDrawOtherwise) {
  const std::vector<float> flat(1000, 0.0f);
  EXPECT_GT(frequencies(flat, 1.0f, 1.0f, 200, 1).size(), 150u) << "positions";
  std::map<int32_t, int> by_seed;
  for (uint64_t seed = 0; seed < 200; ++seed)
    ++by_seed[draw(Array::of(flat, {1, 1000}), {{1.0f, 1.0f, seed, 5}}).ids[0]];
  EXPECT_GT(by_seed.size(), 150u) << "seeds";
}

TEST(Sample, LogprobsAreThoseOfTheUntemperedModel) {
  const std::vector<float> logits = {0.0f, 3.0f, 1.0f};
  const double lse = std::log(1 + std::exp(3) + std::exp(1));
  const Drawn drawn = draw(Array::of(logits, {1, 3}), {{0.7f, 0.5f, 3, 9}});
  EXPECT_EQ(drawn.ids[0], 1);
  EXPECT_NEAR(drawn.logprobs[0], 3 - lse, 1e-6);
}

}  // namespace
}  // namespace fathom::kernels
