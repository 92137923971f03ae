// The one product that linear and expert_mlps are made of: a block of rows times some of a matrix's rows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace fathom::kernels::cpu {

/// y[r][c] = x_r . w_(col + c) for r < n_rows, c < n_columns. What an element is worth does not depend on the
/// others of its block.
struct ProductBlock {
  const float* const* x = nullptr;  // rows of K; n_rows <= kMaxRowBlock (tiling.h)
  int64_t n_rows = 0;
  Tensor weight;  // [N, K], any format
  int64_t col = 0;
  int64_t n_columns = 0;  // <= kMaxColBlock
  void* panel = nullptr;  // product_panel_bytes(K) of the thread's own, 64-byte aligned
  float* y = nullptr;
  int64_t y_stride = 0;
};

void product_fp32(const ProductBlock& block);

/// Room in which one thread packs the rows of a block, of length k, and unpacks quantised weight rows.
size_t product_panel_bytes(int64_t k);

}  // namespace fathom::kernels::cpu
