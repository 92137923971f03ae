// linear: activations [T, K] times weight rows [N, K].
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/dot-inl.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/tiling.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

template <typename W>
void linear_block(const Linear& args, const W* weight, const Block& block) {
  const int64_t k = args.x.shape[1];
  const int64_t n = args.out.shape[1];
  const float* x[kMaxRowBlock];
  for (int64_t r = block.row; r < block.row_end; ++r) {
    x[r - block.row] = static_cast<const float*>(args.x.data) + r * k;
  }
  float* out = static_cast<float*>(args.out.data) + block.row * n + block.col;
  alignas(64) float bias[kMaxColBlock] = {};
  if (args.bias.data != nullptr) {
    with_weight_type(args.bias, [&](const auto* from) {
      for_vectors(block.col_end - block.col, [&](int64_t i, int64_t lanes) {
        store_n(load_n(from + block.col + i, lanes), bias + i, lanes);
      });
    });
  }
  const bool accumulate = args.accumulate;
  dot_block(x, block.row_end - block.row, weight + block.col * k, k, block.col_end - block.col, k,
            [&](int64_t r, int64_t c, float v) HWY_ATTR {
              float& y = out[r * n + c];
              v += bias[c];
              y = accumulate ? y + v : v;
            });
}

void LinearTwin(const Stream& stream, const Linear& args) {
  const Tiling tiling(args.x.shape[0], args.out.shape[1], args.x.shape[1], stream.pool->n_threads());
  with_weight_type(args.weight, [&](const auto* weight) {
    stream.pool->parallel_for(tiling.n_blocks(),
                              [&](int64_t i) { linear_block(args, weight, tiling.block(i)); });
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

}  // namespace fathom::kernels::cpu
#endif  // HWY_ONCE
