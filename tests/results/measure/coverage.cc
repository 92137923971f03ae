// Coverage of the 95 % intervals by simulation: prints the table of docs/statistics.md.
//
//   coverage [TRIALS]
#include <fmt/format.h>

#include <string>
#include <vector>

#include "results/statistics/counter_random.h"
#include "results/statistics/mean.h"
#include "results/statistics/strata.h"

namespace fathom::results {
namespace {

constexpr Bounds kUnit{0.0, 1.0};

struct Design {
  std::string name;
  std::vector<int> sizes;
  std::vector<double> truth;
};

Design subjects(const std::string& name, int n_strata, int first, int step, double low, double high) {
  Design design{name, {}, {}};
  for (int k = 0; k < n_strata; ++k) {
    design.sizes.push_back(first + step * k);
    design.truth.push_back(low + (high - low) * random_unit(99, static_cast<uint64_t>(k)));
  }
  return design;
}

bool covers(const Estimate& estimate, double truth) {
  return estimate.ci_low && *estimate.ci_low <= truth && truth <= *estimate.ci_high;
}

void print_design(const Design& design, int n_trials) {
  double n = 0.0;
  double micro = 0.0;
  double macro = 0.0;
  for (size_t k = 0; k < design.sizes.size(); ++k) {
    n += design.sizes[k];
    micro += design.sizes[k] * design.truth[k];
    macro += design.truth[k] / static_cast<double>(design.sizes.size());
  }
  micro /= n;
  int micro_covered = 0;
  int macro_covered = 0;
  double width = 0.0;
  for (int trial = 0; trial < n_trials; ++trial) {
    const uint64_t seed = static_cast<uint64_t>(trial) * 1'000'003 + 5;
    uint64_t counter = 0;
    std::vector<Stratum> strata(design.sizes.size());
    for (size_t k = 0; k < strata.size(); ++k) {
      for (int i = 0; i < design.sizes[k]; ++i) {
        strata[k].values.push_back(random_unit(seed, counter++) < design.truth[k] ? 1.0 : 0.0);
      }
    }
    const Estimate a = estimate_micro(strata, kUnit);
    const Estimate b = estimate_macro(strata, kUnit);
    micro_covered += covers(a, micro);
    macro_covered += covers(b, macro);
    width += (*a.ci_high - *a.ci_low) / n_trials;
  }
  fmt::print("{:<44} {:>7.0f} {:>9.1f} % {:>9.1f} % {:>9.2f} pp\n", design.name, n,
             100.0 * micro_covered / n_trials, 100.0 * macro_covered / n_trials, 100 * width);
}

}  // namespace
}  // namespace fathom::results

int main(int argc, char** argv) {
  using fathom::results::print_design;
  using fathom::results::subjects;
  const int n_trials = argc > 1 ? std::stoi(argv[1]) : 2000;
  fmt::print("{:<44} {:>7} {:>11} {:>11} {:>12}\n", "design", "items", "micro", "macro", "width (micro)");
  print_design(subjects("57 subjects like MMLU, p 0.25 to 0.95", 57, 100, 5, 0.25, 0.95), n_trials / 10);
  print_design(subjects("57 subjects of 10, p 0.25 to 0.95", 57, 10, 0, 0.25, 0.95), n_trials);
  print_design(subjects("57 subjects of 2, p 0.25 to 0.95", 57, 2, 0, 0.25, 0.95), n_trials);
  print_design(subjects("57 subjects of 1, p 0.25 to 0.95", 57, 1, 0, 0.25, 0.95), n_trials);
  print_design(subjects("57 subjects of 5, p 0.9 to 1", 57, 5, 0, 0.9, 1.0), n_trials);
  print_design(subjects("4 subjects of 10, p 0.8 to 1", 4, 10, 0, 0.8, 1.0), n_trials);
  print_design(subjects("4 subjects of 10 to 100, p 0.8 to 1", 4, 10, 30, 0.8, 1.0), n_trials);
  print_design({"5 uneven subjects", {20, 100, 40, 10, 30}, {0.95, 0.5, 0.3, 0.8, 0.99}}, n_trials);
  return 0;
}
