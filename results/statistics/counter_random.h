// Random numbers as a function of (seed, counter): what a stored seed gives today it gives for ever, on any
// machine and in any order of drawing.
//
// SplitMix64 (Steele, Lea, Flood 2014): the counter-th output of the generator with this seed.
#pragma once

#include <cstdint>

namespace fathom::results {

constexpr uint64_t random_bits(uint64_t seed, uint64_t counter) {
  uint64_t x = seed + (counter + 1) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// In [0, 1), a multiple of 2^-53.
constexpr double random_unit(uint64_t seed, uint64_t counter) {
  return static_cast<double>(random_bits(seed, counter) >> 11) * 0x1.0p-53;
}

/// In [0, n), n < 2^32. The upper 32 bits scaled: no value is favoured by more than n * 2^-32.
constexpr uint64_t random_below(uint64_t n, uint64_t seed, uint64_t counter) {
  return ((random_bits(seed, counter) >> 32) * n) >> 32;
}

}  // namespace fathom::results
