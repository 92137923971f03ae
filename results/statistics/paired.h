// Two runs on the same items: the statistics of their differences.
//
// Pairing removes what the items have in common, which is most of the spread: the error of a difference is
// that of the single differences d_i = candidate_i - base_i, never the root of the sum of two squared errors.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "results/statistics/estimate.h"

namespace fathom::results {

/// Of 0/1 scores. `lost`: base right and candidate wrong (McNemar's b); `won`: the reverse (c).
struct Flips {
  int64_t n = 0;
  int64_t lost = 0;
  int64_t won = 0;
};

/// Exact two-sided McNemar test: 2 P(X <= min(lost, won)) with X ~ Binomial(lost + won, 1/2), at most 1; 1
/// without flips.
double mcnemar_exact(const Flips& flips);
/// The same less P(X = min): less conservative (Fagerland, Lydersen, Laake 2013).
double mcnemar_mid_p(const Flips& flips);
/// One-sided: P(X >= lost), small when the candidate lost more than chance would let it.
double mcnemar_worse(const Flips& flips);

/// The mean difference with an interval of `level`.
/// - scores with bounds: Bonett and Price 2012 (for 0/1 scores): the interval of a sample to which one pair
/// that
///   gained and one that lost the whole width are added. It has a width even when nothing flipped. The value
///   and `se` are those of the sample itself, except that a sample without spread takes its error from the
///   interval.
/// - others: Student's t.
Estimate estimate_difference(std::span<const double> differences, std::optional<Bounds> bounds,
                             double level = kConfidenceLevel);

/// Mean difference with the error clustered by `clusters` (Student's t with C - 1 degrees of freedom): how
/// far the difference would move on other subjects, where the plain error asks about other questions of these
/// subjects.
Estimate estimate_clustered_difference(std::span<const double> differences,
                                       std::span<const std::string> clusters,
                                       double level = kConfidenceLevel);

/// Two-sided p of the paired t test that the mean difference is 0; 1 when all differences are 0, absent for
/// fewer than two.
std::optional<double> paired_t_test(std::span<const double> differences);

}  // namespace fathom::results
