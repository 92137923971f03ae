#include "results/statistics/power.h"

#include <cmath>

#include "results/statistics/distributions.h"

namespace fathom::results {
namespace {

const double kCriticalPlusPower = normal_quantile(0.975) + normal_quantile(0.8);

}  // namespace

double minimum_detectable_effect(double se) {
  return kCriticalPlusPower * se;
}

double items_needed(double effect, double variance_of_difference) {
  return std::ceil(kCriticalPlusPower * kCriticalPlusPower * variance_of_difference / (effect * effect));
}

}  // namespace fathom::results
