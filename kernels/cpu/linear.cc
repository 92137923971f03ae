// linear: activations [T, K] times weight rows [N, K], a block of the output at a time.
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/products.h"
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

void linear_block(const Linear& args, const Block& block, std::byte* panel) {
  const int64_t k = args.x.shape[1];
  const int64_t n = args.out.shape[1];
  const float* x[kMaxRowBlock];
  for (int64_t r = block.row; r < block.row_end; ++r) {
    x[r - block.row] = static_cast<const float*>(args.x.data) + r * k;
  }
  ProductBlock product{.x = x,
                       .n_rows = block.row_end - block.row,
                       .weight = args.weight,
                       .col = block.col,
                       .n_columns = block.col_end - block.col,
                       .panel = panel,
                       .y = static_cast<float*>(args.out.data) + block.row * n + block.col,
                       .y_stride = n};
  if (args.bias.data == nullptr && !args.accumulate) return product_fp32(product);
  alignas(64) float sums[kMaxRowBlock * kMaxColBlock];
  product.y = sums;
  product.y_stride = product.n_columns;
  product_fp32(product);
  finish_block(args, block, sums);
}

void LinearTwin(const Stream& stream, const Linear& args) {
  const int64_t k = args.x.shape[1];
  const Tiling tiling(args.x.shape[0], args.out.shape[1], k, stream.pool->n_threads());
  auto* panels = static_cast<std::byte*>(args.scratch.data);
  const size_t panel_bytes = product_panel_bytes(k);
  stream.pool->parallel_for(tiling.n_blocks(), [&](int64_t i) {
    linear_block(args, tiling.block(i),
                 panels + static_cast<size_t>(ThreadPool::current_thread()) * panel_bytes);
  });
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels::cpu {

HWY_EXPORT(LinearTwin);
void linear(const Stream& stream, const Linear& args) {
  HWY_DYNAMIC_DISPATCH(LinearTwin)(stream, args);
}
size_t linear_scratch_bytes(const Stream& stream, int64_t max_inputs) {
  return product_panel_bytes(max_inputs) * static_cast<size_t>(stream.pool->n_threads());
}

}  // namespace fathom::kernels::cpu
#endif  // HWY_ONCE
