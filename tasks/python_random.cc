#include "tasks/python_random.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/error.h"

namespace fathom::tasks {

void PythonRandom::seed_linearly(uint32_t seed) {
  state_[0] = seed;
  for (uint32_t i = 1; i < kStateSize; ++i) {
    state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
  }
}

// init_by_array of the reference implementation with the one-element key {seed}.
PythonRandom::PythonRandom(uint32_t seed) {
  seed_linearly(19650218u);
  auto mixed = [this](int i, uint32_t factor) {
    const uint32_t before = state_[i - 1];
    return state_[i] ^ ((before ^ (before >> 30)) * factor);
  };
  int i = 1;
  auto advance = [this, &i] {
    if (++i < kStateSize) return;
    state_[0] = state_[kStateSize - 1];
    i = 1;
  };
  for (int n = 0; n < kStateSize; ++n, advance()) state_[i] = mixed(i, 1664525u) + seed;
  for (int n = 1; n < kStateSize; ++n, advance())
    state_[i] = mixed(i, 1566083941u) - static_cast<uint32_t>(i);
  state_[0] = 0x80000000u;
}

void PythonRandom::refill() {
  constexpr int kShift = 397;
  for (int i = 0; i < kStateSize; ++i) {
    const uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % kStateSize] & 0x7fffffffu);
    state_[i] = state_[(i + kShift) % kStateSize] ^ (y >> 1) ^ ((y & 1u) != 0 ? 0x9908b0dfu : 0u);
  }
  used_ = 0;
}

uint32_t PythonRandom::next() {
  if (used_ == kStateSize) refill();
  uint32_t y = state_[used_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

int64_t PythonRandom::below(int64_t n) {
  FATHOM_CHECK(n >= 1 && n <= UINT32_MAX, "n {}", n);
  const int n_bits = std::bit_width(static_cast<uint32_t>(n));
  int64_t value = 0;
  do {
    value = next() >> (32 - n_bits);
  } while (value >= n);
  return value;
}

std::vector<int64_t> PythonRandom::sample(int64_t n, int64_t k) {
  FATHOM_CHECK(k >= 0 && k <= n, "k {} n {}", k, n);
  std::vector<int64_t> taken;
  // CPython keeps a shuffled pool for small populations and a set of what is taken for large ones; the two
  // draw differently, so the border between them matters: 21 plus, beyond 5 samples, the first power of 4
  // that is at least 3 k.
  int64_t border = 21;
  if (k > 5) {
    int64_t power = 1;
    while (power < 3 * k) power *= 4;
    border += power;
  }
  if (n <= border) {
    std::vector<int64_t> pool(static_cast<size_t>(n));
    std::iota(pool.begin(), pool.end(), 0);
    for (int64_t i = 0; i < k; ++i) {
      const int64_t at = below(n - i);
      taken.push_back(pool[at]);
      pool[at] = pool[n - i - 1];
    }
    return taken;
  }
  while (static_cast<int64_t>(taken.size()) < k) {
    const int64_t index = below(n);
    if (std::find(taken.begin(), taken.end(), index) == taken.end()) taken.push_back(index);
  }
  return taken;
}

}  // namespace fathom::tasks
