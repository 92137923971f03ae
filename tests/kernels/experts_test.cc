#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/kernels.h"
#include "tests/kernels/arrays.h"
#include "tests/kernels/compare.h"

namespace fathom::kernels {
namespace {

struct Experts {
  Experts(Random& random, int64_t n, int64_t h_in, int64_t m_in, Dtype dtype) : h(h_in), m(m_in) {
    for (int64_t e = 0; e < n; ++e) {
      gate.push_back(Array::uniform(random, dtype, {m, h}));
      up.push_back(Array::uniform(random, dtype, {m, h}));
      down.push_back(Array::uniform(random, dtype, {h, m}));
    }
  }
  static std::vector<Tensor> tensors(const std::vector<Array>& arrays) {
    std::vector<Tensor> all;
    for (const Array& array : arrays) all.push_back(array.tensor());
    return all;
  }
  int64_t h, m;
  std::vector<Array> gate, up, down;
};

struct Tokens {
  Tokens(Random& random, int64_t t, int64_t h, int64_t n_experts, int64_t k)
      : x(Array::uniform(random, Dtype::kF32, {t, h})),
        ids(Dtype::kI32, {t, k}),
        weights(Array::uniform(random, Dtype::kF32, {t, k}, 0.01, 1.0)) {
    for (int64_t row = 0; row < t; ++row) {
      for (int64_t i = 0; i < k; ++i) {
        int32_t* begin = ids.ints() + row * k;
        do {
          begin[i] = static_cast<int32_t>(random.integer(0, n_experts - 1));
        } while (std::find(begin, begin + i, begin[i]) != begin + i);
      }
    }
  }
  Array x, ids, weights;
};

std::vector<float> run(const Experts& experts, const Tensor& x, const Tensor& ids, const Tensor& weights,
                       int n_threads = 2, Compute compute = Compute::kF32) {
  const std::vector<Tensor> gate = Experts::tensors(experts.gate), up = Experts::tensors(experts.up),
                            down = Experts::tensors(experts.down);
  const int64_t t = x.shape[0];
  TestStream stream(n_threads);
  Buffer scratch(space_under_test(),
                 expert_mlps_scratch_bytes(stream, {t, static_cast<int64_t>(gate.size()), ids.shape[1],
                                                    experts.h, experts.m, compute}));
  Array out = Array::of(std::vector<float>(static_cast<size_t>(t * experts.h), 99.0f), {t, experts.h});
  expert_mlps(stream, {.x = x,
                       .experts = ids,
                       .weights = weights,
                       .gate = gate,
                       .up = up,
                       .down = down,
                       .out = out.tensor(),
                       .compute = compute,
                       .scratch = scratch.scratch()});
  return {out.values().begin(), out.values().end()};
}

std::vector<float> run(const Experts& experts, const Tokens& tokens, int n_threads = 2,
                       Compute compute = Compute::kF32) {
  return run(experts, tokens.x.tensor(), tokens.ids.tensor(), tokens.weights.tensor(), n_threads, compute);
}

std::vector<double> twin(const Experts& experts, const Tokens& tokens, Compute compute = Compute::kF32) {
  const auto seen = [&](const Array& array, int64_t i) { return as_operand(compute, array.at(i)); };
  const int64_t h = experts.h, m = experts.m, t = tokens.x.size() / h, k = tokens.ids.size() / t;
  std::vector<double> out(static_cast<size_t>(t * h));
  for (int64_t row = 0; row < t; ++row) {
    for (int64_t i = 0; i < k; ++i) {
      const auto e = static_cast<size_t>(tokens.ids.at(row * k + i));
      const double weight = tokens.weights.at(row * k + i);
      if (weight == 0.0) continue;
      std::vector<double> hidden;
      for (int64_t j = 0; j < m; ++j) {
        double gate = 0.0, up = 0.0;
        for (int64_t d = 0; d < h; ++d) {
          gate += seen(experts.gate[e], j * h + d) * seen(tokens.x, row * h + d);
          up += seen(experts.up[e], j * h + d) * seen(tokens.x, row * h + d);
        }
        hidden.push_back(as_operand(compute, gate / (1.0 + std::exp(-gate)) * up));
      }
      for (int64_t d = 0; d < h; ++d) {
        double y = 0.0;
        for (int64_t j = 0; j < m; ++j)
          y += seen(experts.down[e], d * m + j) * hidden[static_cast<size_t>(j)];
        out[static_cast<size_t>(row * h + d)] += weight * y;
      }
    }
  }
  return out;
}

/// In bf16 a hidden number near the middle of two may be rounded to the other one.
Tolerance tolerance_of(Compute compute) {
  if (compute == Compute::kF32) return {.absolute = 1e-4, .relative = 1e-5};
  return {.absolute = 4e-2, .relative = 1e-5, .cosine = 1e-6};
}

TEST(ExpertMlps, MatchesItsScalarTwinAtOddShapesInEveryDtype) {
  on_every_instruction_set([] {
    Random random(1);
    for (Dtype dtype : kWeightDtypes) {
      for (const auto& [h, m] : {std::pair<int64_t, int64_t>{1, 1}, {13, 9}, {64, 48}, {50, 27}}) {
        const Experts experts(random, 6, h, m, dtype);
        for (int64_t t : {1, 2, 5, 90}) {
          for (int64_t k : {1, 3, 6}) {
            const Tokens tokens(random, t, h, 6, k);
            for (Compute compute : plain_computes()) {
              EXPECT_EQ(differences(run(experts, tokens, 2, compute), twin(experts, tokens, compute),
                                    tolerance_of(compute)),
                        "")
                  << t << " rows, " << k << " of 6, " << h << " x " << m << " " << compute_name(compute);
            }
          }
        }
      }
    }
  });
}

TEST(ExpertMlps, ARowsBitsDoNotDependOnTheOtherRowsOrTheThreads) {
  on_every_instruction_set([] {
    Random random(2);
    const int64_t t = 150, h = 40, k = 4;
    const Tokens tokens(random, t, h, 8, k);
    for (int64_t m : {31, 32}) {  // 32: a length that every kernel of the device takes
      const Experts experts(random, 8, h, m, Dtype::kBF16);
      for (Compute compute : plain_computes()) {
        const std::vector<float> all = run(experts, tokens, 1, compute);
        for (int n_threads : {2, 3, 4}) EXPECT_TRUE(same_bits(run(experts, tokens, n_threads, compute), all));
        for (int64_t rows : {1, 2, 7, 20, 64, 65}) {
          const int64_t begin = random.integer(0, t - rows);
          const std::vector<float> part = run(experts, tokens.x.tensor().rows(begin, begin + rows),
                                              tokens.ids.tensor().rows(begin, begin + rows),
                                              tokens.weights.tensor().rows(begin, begin + rows), 2, compute);
          EXPECT_TRUE(same_bits(part, std::span(all).subspan(static_cast<size_t>(begin * h), part.size())))
              << rows << " " << compute_name(compute);
        }
      }
    }
  });
}

TEST(ExpertMlps, TheOrderOfTheSlotsDoesNotMatter) {
  Random random(3);
  const Experts experts(random, 5, 20, 10, Dtype::kF32);
  Tokens tokens(random, 4, 20, 5, 3);
  const std::vector<float> before = run(experts, tokens);
  for (int64_t row = 0; row < 4; ++row) {
    std::swap(tokens.ids.ints()[row * 3], tokens.ids.ints()[row * 3 + 2]);
    std::swap(tokens.weights.floats()[row * 3], tokens.weights.floats()[row * 3 + 2]);
  }
  EXPECT_TRUE(same_bits(run(experts, tokens), before));
}

TEST(ExpertMlps, AWeightOfZeroKeepsAnInfiniteExpertOut) {
  Random random(4);
  Experts experts(random, 3, 16, 8, Dtype::kF32);
  Tokens tokens(random, 2, 16, 3, 2);
  const std::vector<int32_t> ids = {0, 1, 1, 2};
  std::copy(ids.begin(), ids.end(), tokens.ids.ints());
  tokens.weights.floats()[1] = 0.0f;
  tokens.weights.floats()[2] = 0.0f;
  experts.up[1].floats()[3] = std::numeric_limits<float>::infinity();
  const std::vector<float> out = run(experts, tokens);
  EXPECT_EQ(differences(out, twin(experts, tokens), {.absolute = 1e-5}), "");
  for (float v : out) EXPECT_TRUE(std::isfinite(v));
}

TEST(ExpertMlps, ANanWeightMakesItsRowNan) {
  Random random(5);
  const Experts experts(random, 3, 16, 8, Dtype::kF32);
  Tokens tokens(random, 2, 16, 3, 2);
  tokens.weights.floats()[0] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> out = run(experts, tokens);
  for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(std::isnan(out[i]), i < 16);
}

}  // namespace
}  // namespace fathom::kernels
