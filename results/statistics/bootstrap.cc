#include "results/statistics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "results/statistics/counter_random.h"
#include "results/statistics/estimate.h"
#include "results/statistics/mean.h"

namespace fathom::results {
namespace {

// Sum and count of the values that are drawn together.
struct Unit {
  double sum = 0.0;
  double n = 0.0;
};

std::vector<Unit> units_of(std::span<const double> values, std::span<const std::string> clusters) {
  std::vector<Unit> units;
  if (clusters.empty()) {
    for (double value : values) units.push_back({value, 1.0});
    return units;
  }
  FATHOM_CHECK(values.size() == clusters.size());
  std::map<std::string, Unit> named;
  for (size_t i = 0; i < values.size(); ++i) {
    Unit& unit = named[clusters[i]];
    unit.sum += values[i];
    unit.n += 1.0;
  }
  for (const auto& [name, unit] : named) units.push_back(unit);
  return units;
}

// Of sorted values; linear between order statistics.
double percentile(const std::vector<double>& sorted, double p) {
  const double at = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

BootstrapResult summary_of(std::vector<double> replicates) {
  std::sort(replicates.begin(), replicates.end());
  const double tail = (1.0 - kConfidenceLevel) / 2;
  return {.se = replicates.size() < 2 ? 0.0 : std::sqrt(sample_variance(replicates)),
          .interval = {percentile(replicates, tail), percentile(replicates, 1.0 - tail)}};
}

}  // namespace

BootstrapResult bootstrap_mean(std::span<const double> values, std::span<const std::string> clusters,
                               const BootstrapOptions& options) {
  FATHOM_CHECK(!values.empty() && options.n_draws >= 1);
  const std::vector<Unit> units = units_of(values, clusters);
  std::vector<double> replicates;
  uint64_t counter = 0;
  for (int64_t draw = 0; draw < options.n_draws; ++draw) {
    Unit total;
    for (size_t i = 0; i < units.size(); ++i) {
      const Unit& unit = units[random_below(units.size(), options.seed, counter++)];
      total.sum += unit.sum;
      total.n += unit.n;
    }
    replicates.push_back(total.sum / total.n);
  }
  return summary_of(std::move(replicates));
}

BootstrapResult bootstrap_macro(std::span<const std::vector<double>> strata,
                                const BootstrapOptions& options) {
  FATHOM_CHECK(!strata.empty() && options.n_draws >= 1);
  std::vector<double> replicates;
  uint64_t counter = 0;
  for (int64_t draw = 0; draw < options.n_draws; ++draw) {
    double sum_of_means = 0.0;
    for (const std::vector<double>& values : strata) {
      FATHOM_CHECK(!values.empty());
      double sum = 0.0;
      for (size_t i = 0; i < values.size(); ++i)
        sum += values[random_below(values.size(), options.seed, counter++)];
      sum_of_means += sum / static_cast<double>(values.size());
    }
    replicates.push_back(sum_of_means / static_cast<double>(strata.size()));
  }
  return summary_of(std::move(replicates));
}

}  // namespace fathom::results
