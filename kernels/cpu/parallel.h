// Loops over rows or tasks on the threads of a stream.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/div_up.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"

namespace fathom::kernels::cpu {

/// body(begin, end) over pieces of [0, n) of at most `grain` rows.
template <typename Body>
void for_ranges(const Stream& stream, int64_t n, int64_t grain, const Body& body) {
  stream.pool->parallel_for(div_up(n, grain),
                            [&](int64_t i) { body(i * grain, std::min(n, (i + 1) * grain)); });
}

/// Rows per task for an operation that touches `row_elements` numbers a row: tasks of about 16K numbers.
inline int64_t row_grain(int64_t row_elements) {
  return std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, row_elements));
}

}  // namespace fathom::kernels::cpu
