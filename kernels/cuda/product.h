// The product of rows and weight rows that every matrix operation on the device is made of:
// out[r][c] = sum_k x[r][k] w[c][k].
//
// One order of additions for every number of rows (index.h): kSegments segments over K, each by fma in
// ascending k from +0, then the segments' sums in ascending order from +0. Two kernels keep it: ProductNarrow
// for few rows (a warp takes a segment, so that a small batch still fills the device with loads) and
// ProductWide for many (tiles in shared memory). Which one runs is a matter of speed alone.
//
// multiply_bf16 rounds both operands to bf16 and adds with tensor cores: the same segments, each by one
// multiply_add (simt.h) after the other over 16 of k, ascending, weights always on its 16-row side and rows
// on its 8-column side, with the same 16 numbers of k at the same places (product_bf16.cu). So its kernels
// too differ in speed alone.
#pragma once

#include "kernels/cuda/index.h"
#include "kernels/cuda/numbers.h"
#include "kernels/kernels.h"

namespace fathom::kernels::cuda {

/// Rows come in groups, each with its own weight. Without tiles, group g has rows 0 .. n_rows(g) - 1.
struct Product {
  const float* x = nullptr;
  const Bf16* rounded =
      nullptr;           // multiply_bf16's other form of x: rows of rounded_width(k), from round_rows
  int64_t x_stride = 0;  // between rows
  int64_t x_group = 0;   // between groups
  const int32_t* x_rows = nullptr;       // row r reads x row x_rows[r]; null: row r
  const int32_t* x_groups = nullptr;     // group g reads x group x_groups[g]; null: group g
  Dtype dtype = Dtype::kF32;             // of the weights
  const void* weight = nullptr;          // [n_cols, k] of group 0 ...
  int64_t weight_group = 0;              // ... and elements to the next group's,
  const void* const* weights = nullptr;  // or one pointer a group
  const void* bias = nullptr;            // [n_cols] or null
  Dtype bias_dtype = Dtype::kF32;
  float* out = nullptr;
  int64_t out_stride = 0;
  int64_t out_group = 0;
  bool accumulate = false;  // out + (sum + bias)
  int64_t k = 0;
  int64_t n_cols = 0;

  int64_t n_groups = 1;
  int64_t n_rows = 0;                   // of every group, or at most
  const int32_t* group_rows = nullptr;  // of each group
  const ProductTile* tiles = nullptr;   // device-built: tiles of exactly tile_rows(n_rows) rows
  const int32_t* n_tiles = nullptr;
  int64_t max_tiles = 0;

  bool vector_loads = false;  // set by multiply: every row starts at a multiple of 16 bytes
};

/// Rows of the tiles that `multiply` takes for products of up to n_rows rows a group.
int64_t tile_rows(int64_t n_rows);

void multiply(const Stream& stream, Product product);

/// The kernels of multiply_bf16, named by the rows and columns of a block.
enum class Bf16Kernel { k8x16, k32x16, k64x64, k128x128 };

/// The fastest for such rows, columns and weights.
Bf16Kernel bf16_kernel(const Product& product);
/// The fastest for groups of `n_rows` rows on average, with weights and k as in `product`.
Bf16Kernel bf16_kernel_of_groups(const Product& product, int64_t n_rows);
/// Rows of its tiles.
int64_t tile_rows(Bf16Kernel kernel);

/// What a kernel reads: `x`, or `rounded`.
enum class RowFormat { kF32, kBF16 };
RowFormat bf16_rows_of(Bf16Kernel kernel);

/// Without groups of x.
void multiply_bf16(const Stream& stream, Product product, Bf16Kernel kernel);

/// Numbers of a rounded row: zeros from k on.
FATHOM_HD inline int64_t rounded_width(int64_t k) {
  return div_up(k, 32) * 32;
}
/// to = x [n_rows, k], rounded to nearest even.
void round_rows(const Stream& stream, const float* x, int64_t n_rows, int64_t k, Bf16* to);

}  // namespace fathom::kernels::cuda
