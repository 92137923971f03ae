// The products that linear and expert_mlps are made of: a block of rows times some of a matrix's rows, in
// each kind of arithmetic (Compute).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kernels/kernels.h"

namespace fathom::kernels::cpu {

/// y[r][c] = x_r . w_(col + c) for r < n_rows, c < n_columns. What an element is worth does not depend on the
/// others of its block.
struct ProductBlock {
  const void* const* x = nullptr;  // rows of K as prepare() leaves them; n_rows <= max_rows
  int64_t n_rows = 0;
  Tensor weight;  // [N, K], any format that the products take
  int64_t col = 0;
  int64_t n_columns = 0;  // <= kMaxColBlock
  void* panel = nullptr;  // panel_bytes(K) of the thread's own, 64-byte aligned
  float* y = nullptr;
  int64_t y_stride = 0;
};

/// Products of one kind of arithmetic on one instruction set.
struct Products {
  std::string_view name;  // "AVX2", say, for messages
  int64_t column_unit;    // blocks of multiples of as many columns leave no part of a tile idle
  int64_t max_rows;       // of a block (tiling.h)
  bool (*supported)();
  /// Bytes of a prepared row of K numbers, whatever the weight's groups; 0: rows are taken as they lie.
  size_t (*row_bytes)(int64_t k);
  /// x [K] to a prepared row; `group` is the weight's scales.columns.
  void (*prepare)(const float* x, int64_t k, int64_t group, void* row);
  size_t (*panel_bytes)(int64_t k);
  void (*multiply)(const ProductBlock& block);
};

/// The products that `compute` makes with a matrix of this dtype: kI8 takes I8 and I4 alone, and leaves other
/// matrices to kF32. FATHOM_CHECKs that the machine can (compute_refusal).
const Products& products_for(Compute compute, Dtype weight);

/// The largest of what products_for(compute, ...) may give.
size_t max_row_bytes(Compute compute, int64_t k);
size_t max_panel_bytes(Compute compute, int64_t k);

/// Every implementation, best first; some may not be supported here.
const Products& products_fp32();
std::span<const Products* const> products_int8();
std::span<const Products* const> products_bf16();

/// out [K] = row `row` of a matrix of any format, widened.
void unpack_row(const Tensor& weight, int64_t row, float* out);

/// Multiply-adds that a dot-product instruction chain of `n_steps` does, for machine_peaks.h; 0 where the
/// machine lacks the instruction. `sink` keeps the compiler from dropping them.
int64_t run_bf16_dot_chains(int64_t n_steps, float& sink);
int64_t run_int8_dot_chains(int64_t n_steps, float& sink);

}  // namespace fathom::kernels::cpu
