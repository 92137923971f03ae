#include "scorers/pass_at_k.h"

#include "base/error.h"

namespace fathom::scorers {

double pass_at_k(int64_t n, int64_t c, int64_t k) {
  FATHOM_CHECK(0 <= c && c <= n && 1 <= k && k <= n, "n {} c {} k {}", n, c, k);
  if (n - c < k) return 1.0;
  double none_right = 1.0;
  for (int64_t i = n - c + 1; i <= n; ++i)
    none_right *= 1.0 - static_cast<double>(k) / static_cast<double>(i);
  return 1.0 - none_right;
}

}  // namespace fathom::scorers
