// What a comparison could have seen: the honest companion of every "no change".
#pragma once

namespace fathom::results {

/// The difference that a two-sided 5 % test with this standard error finds with 80 % probability:
/// (z_0.975 + z_0.8) * se = 2.80 se (Miller 2024).
double minimum_detectable_effect(double se);

/// Items needed to see a difference of `effect` with 80 % probability when one item's difference has this
/// variance.
double items_needed(double effect, double variance_of_difference);

}  // namespace fathom::results
