#include "kernels/cuda/emulation/tensor_core.h"

#include <cstring>

#include "kernels/cuda/emulation/block.h"
#include "kernels/rounding.h"

namespace fathom::kernels::cuda::emulation {
namespace {

/// The pair of bf16 in a register.
void unpack(uint32_t pair, double& low, double& high) {
  low = from_bf16(static_cast<uint16_t>(pair & 0xFFFF));
  high = from_bf16(static_cast<uint16_t>(pair >> 16));
}

}  // namespace

void multiply_add(char* slots) {
  MmaLane lanes[32];
  for (int i = 0; i < 32; ++i)
    std::memcpy(&lanes[i], slots + static_cast<size_t>(i) * Block::kSlotBytes, sizeof(MmaLane));
  double a[16][16], b[8][16];  // b by column
  for (int i = 0; i < 32; ++i) {
    const int g = i / 4, t = i % 4;
    for (int half = 0; half < 2; ++half) {
      const int k = 2 * t + 8 * half;
      unpack(lanes[i].a[2 * half], a[g][k], a[g][k + 1]);
      unpack(lanes[i].a[2 * half + 1], a[g + 8][k], a[g + 8][k + 1]);
      unpack(lanes[i].b[half], b[g][k], b[g][k + 1]);
    }
  }
  for (int i = 0; i < 32; ++i) {
    for (int j = 0; j < 4; ++j) {
      const double* row = a[i / 4 + j / 2 * 8];
      const double* column = b[i % 4 * 2 + j % 2];
      double sum = lanes[i].sums[j];
      for (int k = 0; k < 16; ++k) sum += row[k] * column[k];
      lanes[i].sums[j] = static_cast<float>(sum);
    }
    std::memcpy(slots + static_cast<size_t>(i) * Block::kSlotBytes, &lanes[i], sizeof(MmaLane));
  }
}

}  // namespace fathom::kernels::cuda::emulation
