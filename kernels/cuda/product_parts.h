// What the kernels of product.h share: which rows and columns a block has, and where its sums go.
#pragma once

#include "kernels/cuda/numbers.h"
#include "kernels/cuda/product.h"
#include "kernels/cuda/simt.h"

namespace fathom::kernels::cuda {

inline int64_t n_row_tiles(const Product& p, int64_t height) {
  return p.tiles != nullptr ? p.max_tiles : div_up(p.n_rows, height);
}

inline bool is_aligned(const void* data) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0;
}

/// Blocks of `height` rows by `cols` columns for all rows and groups.
inline GridSize grid_of(const Product& p, int64_t height, int64_t cols) {
  return {.x = div_up(p.n_cols, cols), .y = n_row_tiles(p, height), .z = p.tiles != nullptr ? 1 : p.n_groups};
}

/// The i-th tile of a block's group; n_rows <= 0 when it has none.
FATHOM_DEVICE inline ProductTile tile_of(const Simt& simt, const Product& p, int64_t i, int64_t height) {
  if (p.tiles != nullptr) return i < *p.n_tiles ? p.tiles[i] : ProductTile{0, 0, 0};
  const int64_t group = simt.block_z();
  const int64_t first = i * height;
  const int64_t n_rows = p.group_rows == nullptr ? p.n_rows : p.group_rows[group];
  return {static_cast<int32_t>(group), static_cast<int32_t>(first),
          static_cast<int32_t>(at_most(height, n_rows - first))};
}

/// Which row of x the i-th row of a tile is.
FATHOM_DEVICE inline int64_t x_index(const Product& p, const ProductTile& tile, int64_t i) {
  return p.x_rows == nullptr ? tile.first_row + i : p.x_rows[tile.first_row + i];
}

FATHOM_DEVICE inline const float* x_row(const Product& p, const ProductTile& tile, int64_t i) {
  const int64_t row = x_index(p, tile, i);
  const int64_t group = p.x_groups == nullptr ? tile.group : p.x_groups[tile.group];
  return p.x + group * p.x_group + row * p.x_stride;
}

template <typename W>
FATHOM_DEVICE const W* weight_of(const Product& p, int64_t group) {
  return p.weights != nullptr ? static_cast<const W*>(p.weights[group])
                              : static_cast<const W*>(p.weight) + group * p.weight_group;
}

FATHOM_DEVICE inline void store(const Product& p, const ProductTile& tile, int64_t i, int64_t col,
                                float sum) {
  float* y = p.out + tile.group * p.out_group + (tile.first_row + i) * p.out_stride + col;
  if (p.bias != nullptr) sum += load_as(p.bias, p.bias_dtype, col);
  *y = p.accumulate ? *y + sum : sum;
}

}  // namespace fathom::kernels::cuda
