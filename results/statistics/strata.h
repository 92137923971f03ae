// Groups of tasks: the strata (MMLU's 57 subjects) are chosen, not drawn, so the error of a group is made of
// the errors inside its strata.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "results/statistics/estimate.h"

namespace fathom::results {

struct Stratum {
  std::vector<double> values;
  std::vector<std::string> clusters;  ///< empty, or one name an item
};

/// Mean over all items: sum_k (n_k/n) mean_k; SE = sqrt(sum_k (n_k/n)^2 SE_k^2).
Estimate estimate_micro(std::span<const Stratum> strata, std::optional<Bounds> bounds);
/// Mean of the strata's means; SE = sqrt(sum_k SE_k^2) / K. A stratum without items makes the value absent.
Estimate estimate_macro(std::span<const Stratum> strata, std::optional<Bounds> bounds);

/// What lm-evaluation-harness prints for a group (api/metrics.py, pooled_sample_stderr):
/// s^2 = sum (n_k - 1) n_k se_k^2 / (sum n_k - K); se = sqrt(s^2 / sum n_k). Absent where it divides by zero.
std::optional<double> lmeval_pooled_se(std::span<const Stratum> strata);
/// What it prints for one task: sample standard deviation (n - 1) / sqrt(n). Absent for one item.
std::optional<double> lmeval_sample_se(std::span<const double> values);

}  // namespace fathom::results
