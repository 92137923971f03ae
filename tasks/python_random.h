// PythonRandom: random.Random(seed) of CPython 3, number for number.
//
// lm-evaluation-harness draws few-shot examples with it, so a prompt equals the reference's only with the
// same generator: MT19937 (Matsumoto and Nishimura 1998) seeded by init_by_array, getrandbits() and sample()
// as in CPython's Lib/random.py and Modules/_randommodule.c.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace fathom::tasks {

class PythonRandom {
 public:
  /// random.Random(seed) for a seed that fits 32 bits.
  explicit PythonRandom(uint32_t seed);

  /// The next 32 bits.
  uint32_t next();

  /// random.randrange(n): uniform in [0, n). Needs 1 <= n < 2^32.
  int64_t below(int64_t n);

  /// The indices that random.sample(population, k) takes from a population of n. Needs 0 <= k <= n.
  std::vector<int64_t> sample(int64_t n, int64_t k);

 private:
  static constexpr int kStateSize = 624;
  void seed_linearly(uint32_t seed);
  void refill();

  std::array<uint32_t, kStateSize> state_{};
  int used_ = kStateSize;
};

}  // namespace fathom::tasks
