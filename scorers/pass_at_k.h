// pass@k: the chance that at least one of k answers drawn from n is right, when c of the n are.
#pragma once

#include <cstdint>

namespace fathom::scorers {

/// The unbiased estimate 1 - C(n-c, k) / C(n, k) of Chen et al. 2021 (arXiv:2107.03374), as the product
/// 1 - prod_{i=n-c+1}^{n} (1 - k/i) that its reference implementation uses; exactly 1 when n - c < k.
/// Needs 0 <= c <= n and 1 <= k <= n: with fewer than k answers there is no estimate.
double pass_at_k(int64_t n, int64_t c, int64_t k);

}  // namespace fathom::scorers
