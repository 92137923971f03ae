#include "tests/engine/agreement.h"

#include <algorithm>
#include <cmath>

namespace fathom::engine {

double logprob_tolerance(int64_t n_tokens) {
  return n_tokens <= 64 ? 2e-4 : n_tokens <= 300 ? 5e-4 : 3e-3;
}

void Tally::expect_few_exclusions() const {
  EXPECT_LE(static_cast<double>(excluded), 0.01 * static_cast<double>(positions))
      << excluded << " of " << positions << " positions are near-ties";
}

namespace {

/// The engine's experts of one position, as a set.
std::vector<int32_t> experts_at(const Scores& engine, size_t layer, size_t position, size_t k) {
  const auto begin = engine.routes[layer].begin() + static_cast<ptrdiff_t>(position * k);
  std::vector<int32_t> experts(begin, begin + static_cast<ptrdiff_t>(k));
  std::sort(experts.begin(), experts.end());
  return experts;
}

bool same_experts(const Scores& engine, const ReferenceScores& truth, size_t position) {
  for (size_t layer = 0; layer < truth.routes.size(); ++layer) {
    if (truth.routes[layer].empty()) continue;
    std::vector<int32_t> expected = truth.routes[layer][position];
    std::sort(expected.begin(), expected.end());
    if (experts_at(engine, layer, position, expected.size()) != expected) return false;
  }
  return true;
}

}  // namespace

void expect_agreement(const Scores& engine, const ReferenceScores& truth, Tally& tally) {
  const size_t n = truth.argmax.size();
  ASSERT_EQ(engine.argmax.size(), n);
  tally.positions += static_cast<int64_t>(n);
  for (size_t layer = 0; layer < truth.routes.size(); ++layer) {
    ASSERT_EQ(engine.routes[layer].empty(), truth.routes[layer].empty()) << "layer " << layer;
  }
  for (size_t t = 0; t < n; ++t) {
    if (!same_experts(engine, truth, t)) {
      EXPECT_LT(truth.router_margins[t], kRouterMargin) << "other experts at position " << t;
      tally.excluded += static_cast<int64_t>(n - t);
      return;
    }
    const double difference = std::abs(engine.logprobs[t] - truth.logprobs[t]);
    tally.max_difference = std::max(tally.max_difference, difference);
    EXPECT_LE(difference, logprob_tolerance(static_cast<int64_t>(n))) << "position " << t;
    if (truth.margins[t] < kArgmaxMargin) {
      ++tally.excluded;
    } else {
      EXPECT_EQ(engine.argmax[t], truth.argmax[t]) << "position " << t;
    }
  }
}

double max_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = a.size() == b.size() ? 0.0 : INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, static_cast<double>(std::abs(a[i] - b[i])));
  }
  return largest;
}

}  // namespace fathom::engine
