#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/kernels.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/compare.h"

namespace fathom::kernels {
namespace {

double log_sum_exp(const Array& logits, int64_t row, int64_t vocab) {
  double max = -std::numeric_limits<double>::infinity();
  for (int64_t v = 0; v < vocab; ++v) max = std::max(max, logits.at(row * vocab + v));
  double sum = 0.0;
  for (int64_t v = 0; v < vocab; ++v) sum += std::exp(logits.at(row * vocab + v) - max);
  return max + std::log(sum);
}

TEST(LogSoftmaxGather, MatchesItsScalarTwinAndFindsTheArgmax) {
  on_every_instruction_set([] {
    Random random(1);
    TestStream stream;
    for (int64_t vocab : {1, 2, 7, 8, 9, 128, 1001}) {
      for (double range : {1.0, 30.0, 200.0}) {
        Array logits = Array::uniform(random, Dtype::kF32, {3, vocab}, -range, range);
        // Row 0 has three targets, row 1 none, row 2 one.
        std::vector<int32_t> ids;
        for (int i = 0; i < 4; ++i) ids.push_back(static_cast<int32_t>(random.integer(0, vocab - 1)));
        Array logprobs(Dtype::kF32, {4});
        Array argmax(Dtype::kI32, {3});
        log_softmax_gather(stream, {.logits = logits.tensor(),
                                    .offsets = Array::of_ints({0, 3, 3, 4}, {4}).tensor(),
                                    .ids = Array::of_ints(ids, {4}).tensor(),
                                    .logprobs = logprobs.tensor(),
                                    .argmax = argmax.tensor()});
        std::vector<double> expected;
        for (size_t i = 0; i < 4; ++i) {
          const int64_t row = i < 3 ? 0 : 2;
          expected.push_back(logits.at(row * vocab + ids[i]) - log_sum_exp(logits, row, vocab));
        }
        EXPECT_EQ(differences(logprobs.values(), expected, {.absolute = 3e-7, .relative = 1.2e-7}), "")
            << vocab;
        for (int64_t row = 0; row < 3; ++row) {
          const auto begin = logits.values().begin() + row * vocab;
          EXPECT_EQ(argmax.int_values()[static_cast<size_t>(row)],
                    std::max_element(begin, begin + vocab) - begin);
        }
      }
    }
  });
}

TEST(LogSoftmaxGather, EqualLogitsGiveTheLowestId) {
  on_every_instruction_set([] {
    TestStream stream;
    std::vector<float> logits(37, -1.0f);
    logits[35] = logits[21] = logits[5] = 3.0f;
    Array argmax(Dtype::kI32, {1});
    log_softmax_gather(stream, {.logits = Array::of(logits, {1, 37}).tensor(),
                                .offsets = Array::of_ints({0, 0}, {2}).tensor(),
                                .ids = Array::of_ints({}, {0}).tensor(),
                                .logprobs = Array(Dtype::kF32, {0}).tensor(),
                                .argmax = argmax.tensor()});
    EXPECT_EQ(argmax.int_values()[0], 5);
  });
}

TEST(LogSoftmaxGather, NegativeLogitsAndALastPartialVector) {
  on_every_instruction_set([] {
    // All negative: the padding of a partial vector must not count as a logit of 0.
    TestStream stream;
    const std::vector<float> logits = {-900, -901, -902, -903, -904, -905, -906, -907, -899};
    Array logprobs(Dtype::kF32, {1});
    Array argmax(Dtype::kI32, {1});
    log_softmax_gather(stream, {.logits = Array::of(logits, {1, 9}).tensor(),
                                .offsets = Array::of_ints({0, 1}, {2}).tensor(),
                                .ids = Array::of_ints({8}, {1}).tensor(),
                                .logprobs = logprobs.tensor(),
                                .argmax = argmax.tensor()});
    EXPECT_EQ(argmax.int_values()[0], 8);
    EXPECT_NEAR(logprobs.values()[0], -std::log(1 + std::exp(-1) * (1 - std::exp(-8)) / (1 - std::exp(-1))),
                1e-6);
  });
}

TEST(TopLogprobs, AreTheBestInOrderTiesToTheLowestId) {
  on_every_instruction_set([] {
    Random random(2);
    TestStream stream;
    const int64_t vocab = 300, k = 20;
    // Few distinct values, so that ties are everywhere.
    Array logits(Dtype::kF32, {2, vocab});
    for (int64_t i = 0; i < logits.size(); ++i)
      logits.floats()[i] = static_cast<float>(random.integer(-9, 9)) / 4;
    Array ids(Dtype::kI32, {2, k});
    Array logprobs(Dtype::kF32, {2, k});
    top_logprobs(stream, {.logits = logits.tensor(), .ids = ids.tensor(), .logprobs = logprobs.tensor()});
    for (int64_t row = 0; row < 2; ++row) {
      std::vector<int32_t> order(static_cast<size_t>(vocab));
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
        return logits.at(row * vocab + a) > logits.at(row * vocab + b);
      });
      std::vector<double> expected;
      for (int64_t i = 0; i < k; ++i) {
        EXPECT_EQ(ids.int_values()[static_cast<size_t>(row * k + i)], order[static_cast<size_t>(i)]);
        expected.push_back(logits.at(row * vocab + order[static_cast<size_t>(i)]) -
                           log_sum_exp(logits, row, vocab));
      }
      EXPECT_EQ(differences(logprobs.values().subspan(static_cast<size_t>(row * k), static_cast<size_t>(k)),
                            expected, {.absolute = 1e-6}),
                "");
    }
  });
}

TEST(TopLogprobs, MayAskForTheWholeVocabulary) {
  TestStream stream;
  Array ids(Dtype::kI32, {1, 3});
  Array logprobs(Dtype::kF32, {1, 3});
  top_logprobs(
      stream,
      {.logits = Array::of({1, 3, 2}, {1, 3}).tensor(), .ids = ids.tensor(), .logprobs = logprobs.tensor()});
  EXPECT_EQ(std::vector<int32_t>(ids.int_values().begin(), ids.int_values().end()),
            (std::vector<int32_t>{1, 2, 0}));
}

}  // namespace
}  // namespace fathom::kernels
