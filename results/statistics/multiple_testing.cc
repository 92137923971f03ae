#include "results/statistics/multiple_testing.h"

#include <algorithm>
#include <numeric>

namespace fathom::results {

std::vector<double> benjamini_hochberg(std::span<const double> p_values) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p_values[a] > p_values[b]; });
  std::vector<double> q_values(p_values.size());
  const auto m = static_cast<double>(p_values.size());
  double smallest = 1.0;
  for (size_t i = 0; i < order.size(); ++i) {  // from the largest p, whose rank is m
    const double rank = m - static_cast<double>(i);
    smallest = std::min(smallest, m * p_values[order[i]] / rank);
    q_values[order[i]] = smallest;
  }
  return q_values;
}

}  // namespace fathom::results
