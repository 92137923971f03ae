// Which instruction sets the CPU kernels are compiled for. Include before any Highway header.
//
// AVX2 with FMA is the set that is measured and tuned; AVX-512 (AVX3) is the same code with wider vectors,
// and Highway's scalar (or 128-bit emulated) baseline is the portable fallback. The sets in between would
// only add compile time, and scalable vectors (SVE, RVV) cannot be kept in the arrays that the tiles are made
// of.
#pragma once

#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
