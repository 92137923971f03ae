// linear: activations [T, K] times weight rows [N, K], a block of the output at a time.
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/products.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/cpu/tiling.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

/// out <- sums + bias, or out + (sums + bias), for one block; no bias: 0.
void finish_block(const Linear& args, const Block& block, const float* sums) {
  const int64_t n = args.out.shape[1];
  const int64_t width = block.col_end - block.col;
  alignas(64) float bias[kMaxColBlock] = {};
  if (args.bias.data != nullptr) {
    with_weight_type(args.bias, [&](const auto* from) {
      for_vectors(width, [&](int64_t i, int64_t lanes) {
        store_n(load_n(from + block.col + i, lanes), bias + i, lanes);
      });
    });
  }
  for (int64_t r = block.row; r < block.row_end; ++r) {
    const float* sum = sums + (r - block.row) * width;
    float* out = static_cast<float*>(args.out.data) + r * n + block.col;
    for_vectors(width, [&](int64_t i, int64_t lanes) {
      const VF32 v = hn::Add(load_n(sum + i, lanes), load_n(bias + i, lanes));
      store_n(args.accumulate ? hn::Add(load_n(out + i, lanes), v) : v, out + i, lanes);
    });
  }
}

/// What a call works with: prepared rows and a panel for each thread, where the products want them.
struct LinearWork {
  const Products& products;
  std::byte* rows;  // [T] of row_bytes, or null
  size_t row_bytes;
  std::byte* panels;  // one of panel_bytes for each thread
  size_t panel_bytes;
};

void linear_block(const Linear& args, const LinearWork& work, const Block& block) {
  const int64_t k = args.x.shape[1];
  const int64_t n = args.out.shape[1];
  const void* x[kMaxInt8Rows];
  for (int64_t r = block.row; r < block.row_end; ++r) {
    x[r - block.row] = work.row_bytes == 0
                           ? static_cast<const void*>(static_cast<const float*>(args.x.data) + r * k)
                           : work.rows + static_cast<size_t>(r) * work.row_bytes;
  }
  ProductBlock product{
      .x = x,
      .n_rows = block.row_end - block.row,
      .weight = args.weight,
      .col = block.col,
      .n_columns = block.col_end - block.col,
      .panel = work.panels + static_cast<size_t>(ThreadPool::current_thread()) * work.panel_bytes,
      .y = static_cast<float*>(args.out.data) + block.row * n + block.col,
      .y_stride = n};
  if (args.bias.data == nullptr && !args.accumulate) return work.products.multiply(product);
  alignas(64) float sums[kMaxBlock];
  product.y = sums;
  product.y_stride = product.n_columns;
  work.products.multiply(product);
  finish_block(args, block, sums);
}

void LinearTwin(const Stream& stream, const Linear& args) {
  const int64_t n_rows = args.x.shape[0];
  const int64_t k = args.x.shape[1];
  const Products& products = products_for(args.compute, args.weight.dtype);
  LinearWork work{products, nullptr, products.row_bytes(k), nullptr, products.panel_bytes(k)};
  ScratchCursor cursor(args.scratch);
  work.rows = cursor.take<std::byte>(n_rows * static_cast<int64_t>(work.row_bytes));
  work.panels = cursor.take<std::byte>(static_cast<int64_t>(work.panel_bytes) * stream.pool->n_threads());
  if (work.row_bytes > 0) {
    for_ranges(stream, n_rows, row_grain(k), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        products.prepare(static_cast<const float*>(args.x.data) + t * k, k, args.weight.scales.columns,
                         work.rows + static_cast<size_t>(t) * work.row_bytes);
      }
    });
  }
  const Tiling tiling(n_rows, args.out.shape[1], k, products.column_unit, products.max_rows,
                      stream.pool->n_threads());
  stream.pool->parallel_for(tiling.n_blocks(), [&](int64_t i) { linear_block(args, work, tiling.block(i)); });
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels::cpu {

HWY_EXPORT(LinearTwin);
void linear(const Stream& stream, const Linear& args) {
  HWY_DYNAMIC_DISPATCH(LinearTwin)(stream, args);
}
size_t linear_scratch_bytes(const Stream& stream, Compute compute, int64_t max_rows, int64_t max_inputs) {
  ScratchCursor cursor;
  cursor.take<std::byte>(max_rows * static_cast<int64_t>(max_row_bytes(compute, max_inputs)));
  cursor.take<std::byte>(static_cast<int64_t>(max_panel_bytes(compute, max_inputs)) *
                         stream.pool->n_threads());
  return cursor.used();
}

}  // namespace fathom::kernels::cpu
#endif  // HWY_ONCE
