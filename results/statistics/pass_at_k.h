// pass@k: the chance that at least one of k answers to a problem passes.
#pragma once

#include <cstdint>

namespace fathom::results {

/// Unbiased estimate from `n_passed` of `n` answers: 1 - C(n-c, k)/C(n, k), as 1 - prod_{j=n-c+1}^{n} (1 -
/// k/j) (Chen et al. 2021, arXiv:2107.03374). Needs 1 <= k <= n.
double pass_at_k(int64_t n, int64_t n_passed, int64_t k);

}  // namespace fathom::results
