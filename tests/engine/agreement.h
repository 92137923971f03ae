// How engine scores are held against a float64 truth: the tolerances of the numerics contract, and what
// counts as a near-tie.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/engine/reference_model.h"
#include "tests/engine/tiny_model.h"

namespace fathom::engine {

/// Allowed |difference of log p| for a sequence of n tokens.
double logprob_tolerance(int64_t n_tokens);

/// Below these float64 margins another choice is no error: fp32 cannot tell.
inline constexpr double kArgmaxMargin = 2e-3;  // of logits
inline constexpr double kRouterMargin = 1e-5;  // of probabilities

/// Positions seen and positions left out as near-ties; at most 1 % may be left out.
struct Tally {
  int64_t positions = 0;
  int64_t excluded = 0;
  double max_difference = 0.0;  // of log p, over what was compared
  void expect_few_exclusions() const;
};

/// Expects logprobs, argmax and routes (as sets) to agree position by position, up to the first router
/// near-tie: a flipped expert changes what follows.
void expect_agreement(const Scores& engine, const ReferenceScores& truth, Tally& tally);

/// Largest |difference of log p| between two engine results.
double max_difference(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace fathom::engine
