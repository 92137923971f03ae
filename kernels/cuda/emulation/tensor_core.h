// The tensor core of the emulated device.
#pragma once

#include <cstdint>

namespace fathom::kernels::cuda::emulation {

/// What a lane brings to Simt::multiply_add, and takes away in `sums`.
struct MmaLane {
  float sums[4];
  uint32_t a[4];
  uint32_t b[2];
};

/// Joins the slots of a warp (Block::exchange). The products of an element and what it had are added in
/// ascending k in double and rounded once: a real one differs in the last bits.
void multiply_add(char* slots);

}  // namespace fathom::kernels::cuda::emulation
