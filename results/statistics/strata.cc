#include "results/statistics/strata.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "results/statistics/mean.h"

namespace fathom::results {
namespace {

// The spread of single items inside a stratum, from which every error follows: SE_k^2 = variance / n_k.
//
// A stratum of one item has no spread of its own. All such strata are judged together around their common
// mean (the method of collapsed strata, Cochran 1977, section 5A.12; never too small); a lone one joins the
// smallest other stratum.
struct StratumErrors {
  std::vector<double> squared;  // SE_k^2, one a stratum
  std::vector<double> df;       // degrees of freedom of each
  bool collapsed = false;
  bool clustered = false;
};

// The singletons' values, with those of the smallest other stratum where there is but one.
std::vector<double> collapsed_singletons(std::span<const Stratum> strata) {
  std::vector<double> values;
  const Stratum* smallest = nullptr;
  for (const Stratum& stratum : strata) {
    if (stratum.values.size() == 1) {
      values.push_back(stratum.values[0]);
    } else if (smallest == nullptr || stratum.values.size() < smallest->values.size()) {
      smallest = &stratum;
    }
  }
  if (values.size() == 1 && smallest != nullptr) {
    values.insert(values.end(), smallest->values.begin(), smallest->values.end());
  }
  return values;
}

// Absent when there is a single item in all.
std::optional<StratumErrors> stratum_errors(std::span<const Stratum> strata) {
  StratumErrors errors;
  const std::vector<double> collapsed = collapsed_singletons(strata);
  for (const Stratum& stratum : strata) {
    const auto n = static_cast<double>(stratum.values.size());
    if (stratum.values.size() == 1) {
      if (collapsed.size() < 2) return std::nullopt;
      const auto m = static_cast<double>(collapsed.size());
      errors.squared.push_back(sample_variance(collapsed));
      errors.df.push_back((m - 1) / m);  // m strata share m - 1 degrees of freedom
      errors.collapsed = true;
    } else if (share_clusters(stratum.clusters)) {
      const ClusteredError error = clustered_error(stratum.values, stratum.clusters);
      errors.squared.push_back(error.se * error.se);
      errors.df.push_back(static_cast<double>(error.n_clusters - 1));
      errors.clustered = true;
    } else {
      errors.squared.push_back(sample_variance(stratum.values) / n);
      errors.df.push_back(n - 1);
    }
  }
  return errors;
}

std::string method_name(const StratumErrors& errors) {
  std::string name = "stratified";
  if (errors.clustered) name += ", clustered";
  if (errors.collapsed) name += ", single items collapsed";
  return name;
}

int64_t total(std::span<const Stratum> strata) {
  int64_t n = 0;
  for (const Stratum& stratum : strata) n += static_cast<int64_t>(stratum.values.size());
  return n;
}

std::vector<Stratum> without_empty(std::span<const Stratum> strata) {
  std::vector<Stratum> kept;
  std::copy_if(strata.begin(), strata.end(), std::back_inserter(kept),
               [](const Stratum& stratum) { return !stratum.values.empty(); });
  return kept;
}

// sum_k w_k mean_k with SE^2 = sum_k w_k^2 SE_k^2.
Estimate weighted(std::span<const Stratum> strata, std::span<const double> weights,
                  std::optional<Bounds> bounds) {
  Estimate estimate{.value = 0.0, .n = total(strata)};
  const std::optional<StratumErrors> errors = stratum_errors(strata);
  double variance = 0.0;
  double squares_over_df = 0.0;
  for (size_t k = 0; k < strata.size(); ++k) {
    *estimate.value += weights[k] * mean_of(strata[k].values);
    if (!errors) continue;
    const double share = weights[k] * weights[k] * errors->squared[k];
    variance += share;
    squares_over_df += share * share / errors->df[k];
  }
  if (errors) {
    estimate.se = std::sqrt(variance);
    estimate.se_method = method_name(*errors);
  }
  if (bounds) estimate.value = std::clamp(*estimate.value, bounds->low, bounds->high);  // rounding
  // Satterthwaite 1946: degrees of freedom of a sum of variances.
  const bool has_df = squares_over_df > 0.0;
  add_interval(estimate, bounds,
               has_df ? std::optional(variance * variance / squares_over_df) : std::nullopt);
  return estimate;
}

}  // namespace

Estimate estimate_micro(std::span<const Stratum> strata, std::optional<Bounds> bounds) {
  const std::vector<Stratum> kept = without_empty(strata);
  if (kept.empty()) return {};
  std::vector<double> weights;
  for (const Stratum& stratum : kept) {
    weights.push_back(static_cast<double>(stratum.values.size()) / static_cast<double>(total(kept)));
  }
  return weighted(kept, weights, bounds);
}

Estimate estimate_macro(std::span<const Stratum> strata, std::optional<Bounds> bounds) {
  if (strata.empty() || without_empty(strata).size() < strata.size()) return {.n = total(strata)};
  const std::vector<double> weights(strata.size(), 1.0 / static_cast<double>(strata.size()));
  return weighted(strata, weights, bounds);
}

std::optional<double> lmeval_pooled_se(std::span<const Stratum> strata) {
  double sum = 0.0;
  double n = 0.0;
  for (const Stratum& stratum : strata) {
    if (stratum.values.size() < 2) return std::nullopt;
    const auto n_k = static_cast<double>(stratum.values.size());
    sum += (n_k - 1) * sample_variance(stratum.values);  // n_k se_k^2 is the variance
    n += n_k;
  }
  const double df = n - static_cast<double>(strata.size());
  if (df <= 0) return std::nullopt;
  return std::sqrt(sum / df / n);
}

std::optional<double> lmeval_sample_se(std::span<const double> values) {
  if (values.size() < 2) return std::nullopt;
  return std::sqrt(sample_variance(values) / static_cast<double>(values.size()));
}

}  // namespace fathom::results
