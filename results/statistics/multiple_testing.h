// Many tests at once: which of 57 subjects really changed.
#pragma once

#include <span>
#include <vector>

namespace fathom::results {

/// Benjamini and Hochberg 1995: q_(i) = min over j >= i of m p_(j) / j, at most 1. Rejecting q <= 0.05 keeps
/// the expected share of false findings at 5 %. In the order of `p_values`.
std::vector<double> benjamini_hochberg(std::span<const double> p_values);

}  // namespace fathom::results
