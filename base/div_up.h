// Division that rounds up: how many pieces of b cover a.
#pragma once

#include <cstdint>

namespace fathom {

/// a >= 0, b > 0.
constexpr int64_t div_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace fathom
