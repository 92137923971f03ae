#include "results/statistics/pass_at_k.h"

#include "base/error.h"

namespace fathom::results {

double pass_at_k(int64_t n, int64_t n_passed, int64_t k) {
  FATHOM_CHECK(1 <= k && k <= n && 0 <= n_passed && n_passed <= n, "n {} passed {} k {}", n, n_passed, k);
  if (n - n_passed < k) return 1.0;
  double all_fail = 1.0;
  for (int64_t j = n - n_passed + 1; j <= n; ++j)
    all_fail *= 1.0 - static_cast<double>(k) / static_cast<double>(j);
  return 1.0 - all_fail;
}

}  // namespace fathom::results
