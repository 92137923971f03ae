// expert_mlps: rows grouped by expert, so that each expert's weights are read once for all its rows.
//
// Two passes. The first computes silu(gate x) * up x for every (row, expert) pair into `hidden`, ordered by
// expert. The second owns a piece of output columns per task and adds the experts' products there in
// ascending id: the order of a row's sum is the order of its experts, whatever else is in the batch.
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/experts.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/products.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/cpu/tiling.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

struct Groups {
  int32_t* offsets;    // [E + 1]: pairs of expert e are offsets[e] .. offsets[e + 1] - 1
  int64_t* tasks;      // [E + 1]: likewise the first task of each expert in the first pass
  int32_t* pair_row;   // [T k], ascending within an expert
  float* pair_weight;  // [T k]
  float* hidden;       // [T k, m]
  std::byte* rows;     // [T], then [T k]: x, then hidden, as the products want them; empty when as they are
  std::byte* panels;   // one of panel_bytes for each thread
  size_t panel_bytes;

  void* panel() const { return panels + static_cast<size_t>(ThreadPool::current_thread()) * panel_bytes; }
};

Groups carve_groups(ScratchCursor& cursor, const ExpertMlpsShape& s, int n_threads) {
  const int64_t n_pairs = s.max_rows * s.experts_per_token;
  const size_t rows = std::max(static_cast<size_t>(s.max_rows) * max_row_bytes(s.compute, s.hidden),
                               static_cast<size_t>(n_pairs) * max_row_bytes(s.compute, s.width));
  const size_t panel = max_panel_bytes(s.compute, std::max(s.hidden, s.width));
  return {cursor.take<int32_t>(s.n_experts + 1),
          cursor.take<int64_t>(s.n_experts + 1),
          cursor.take<int32_t>(n_pairs),
          cursor.take<float>(n_pairs),
          cursor.take<float>(n_pairs * s.width),
          cursor.take<std::byte>(static_cast<int64_t>(rows)),
          cursor.take<std::byte>(static_cast<int64_t>(panel) * n_threads),
          panel};
}

/// Rows of k numbers as `weight`'s products want them.
class Rows {
 public:
  Rows(const Products& products, const float* x, int64_t k, std::byte* prepared)
      : products_(products), x_(x), k_(k), prepared_(prepared), row_bytes_(products.row_bytes(k)) {}

  void prepare(const Stream& stream, int64_t n_rows, const Tensor& weight) const {
    if (row_bytes_ == 0) return;
    for_ranges(stream, n_rows, row_grain(k_), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r)
        products_.prepare(x_ + r * k_, k_, weight.scales.columns,
                          prepared_ + static_cast<size_t>(r) * row_bytes_);
    });
  }
  const void* row(int64_t r) const {
    if (row_bytes_ == 0) return x_ + r * k_;
    return prepared_ + static_cast<size_t>(r) * row_bytes_;
  }
  const Products& products() const { return products_; }

 private:
  const Products& products_;
  const float* x_;
  int64_t k_;
  std::byte* prepared_;
  size_t row_bytes_;
};

/// Counting sort of the (row, expert) pairs of non-zero weight.
void group_pairs(const ExpertMlps& args, Groups& groups) {
  const int64_t n_experts = static_cast<int64_t>(args.gate.size());
  const int64_t k = args.experts.shape[1];
  const int64_t n_pairs = args.experts.elements();
  const auto* experts = static_cast<const int32_t*>(args.experts.data);
  const auto* weights = static_cast<const float*>(args.weights.data);
  std::fill(groups.offsets, groups.offsets + n_experts + 1, 0);
  for (int64_t i = 0; i < n_pairs; ++i) {
    FATHOM_CHECK(experts[i] >= 0 && experts[i] < n_experts, "expert {} of {}", experts[i], n_experts);
    if (weights[i] != 0.0f) ++groups.offsets[experts[i] + 1];
  }
  for (int64_t e = 0; e < n_experts; ++e) groups.offsets[e + 1] += groups.offsets[e];
  for (int64_t i = 0; i < n_pairs; ++i) {
    if (weights[i] == 0.0f) continue;
    const int32_t at = groups.offsets[experts[i]]++;
    groups.pair_row[at] = static_cast<int32_t>(i / k);
    groups.pair_weight[at] = weights[i];
  }
  // Filling moved each offset to its group's end, the next group's begin.
  std::copy_backward(groups.offsets, groups.offsets + n_experts, groups.offsets + n_experts + 1);
  groups.offsets[0] = 0;
}

/// hidden = silu(gate x) * up x for one block of an expert's pairs and columns.
void gate_up_block(const ExpertMlps& args, const Groups& groups, const Rows& rows, int64_t expert,
                   const Block& block) {
  const int64_t m = args.gate[0].shape[0];
  const int64_t n_rows = block.row_end - block.row;
  const int64_t n_cols = block.col_end - block.col;
  const int64_t first_pair = groups.offsets[expert] + block.row;
  const void* x[kMaxInt8Rows];
  for (int64_t r = 0; r < n_rows; ++r) x[r] = rows.row(groups.pair_row[first_pair + r]);
  alignas(64) float up[kMaxBlock];
  float* hidden = groups.hidden + first_pair * m + block.col;
  ProductBlock product{.x = x,
                       .n_rows = n_rows,
                       .weight = args.gate[expert],
                       .col = block.col,
                       .n_columns = n_cols,
                       .panel = groups.panel(),
                       .y = hidden,
                       .y_stride = m};
  rows.products().multiply(product);
  product.weight = args.up[expert];
  product.y = up;
  product.y_stride = n_cols;
  rows.products().multiply(product);
  for (int64_t r = 0; r < n_rows; ++r) {
    for_vectors(n_cols, [&](int64_t i, int64_t lanes) {
      float* p = hidden + r * m + i;
      store_n(silu_mul(load_n(p, lanes), load_n(up + r * n_cols + i, lanes)), p, lanes);
    });
  }
}

constexpr int64_t kMaxDownColumns = 192;

/// Columns of the output that a task owns: 48 of every expert's down are a few hundred KiB even for one row,
/// and every task reads all of `hidden`. As many tasks as give each thread the same number, rather than
/// widths that are multiples of `unit`, when there are no such that do both.
int64_t down_columns_of_task(const Stream& stream, int64_t n_columns, int64_t unit) {
  const int64_t n_threads = stream.pool->n_threads();
  const int64_t wanted =
      std::clamp<int64_t>(div_up(n_columns, 8 * n_threads), std::max<int64_t>(48, unit), kMaxDownColumns);
  const int64_t n_tasks = div_up(div_up(n_columns, wanted), n_threads) * n_threads;
  const int64_t width = div_up(n_columns, n_tasks);
  const int64_t whole_tiles = std::min(div_up(width, unit) * unit, kMaxDownColumns);
  return div_up(n_columns, whole_tiles) % n_threads == 0 ? whole_tiles : div_up(width, 4) * 4;
}

/// Adds weight * down(hidden) of every expert, in ascending id, to columns [begin, end) of the output.
void down_columns(const ExpertMlps& args, const Groups& groups, const Rows& rows, int64_t begin,
                  int64_t end) {
  const int64_t h = args.x.shape[1];
  const int64_t width = end - begin;
  const int64_t max_rows = std::min(rows.products().max_rows, kMaxBlock / width);
  auto* out = static_cast<float*>(args.out.data);
  for (int64_t t = 0; t < args.x.shape[0]; ++t) std::fill(out + t * h + begin, out + t * h + end, 0.0f);
  alignas(64) float sums[kMaxBlock];
  for (size_t e = 0; e < args.down.size(); ++e) {
    for (int64_t pair = groups.offsets[e]; pair < groups.offsets[e + 1]; pair += max_rows) {
      const int64_t n_rows = std::min(max_rows, groups.offsets[e + 1] - pair);
      const void* hidden[kMaxInt8Rows];
      for (int64_t r = 0; r < n_rows; ++r) hidden[r] = rows.row(pair + r);
      rows.products().multiply({.x = hidden,
                                .n_rows = n_rows,
                                .weight = args.down[e],
                                .col = begin,
                                .n_columns = width,
                                .panel = groups.panel(),
                                .y = sums,
                                .y_stride = width});
      for (int64_t r = 0; r < n_rows; ++r) {
        const VF32 weight = hn::Set(F32(), groups.pair_weight[pair + r]);
        float* y = out + groups.pair_row[pair + r] * h + begin;
        for_vectors(width, [&](int64_t i, int64_t lanes) {
          store_n(hn::MulAdd(weight, load_n(sums + r * width + i, lanes), load_n(y + i, lanes)), y + i,
                  lanes);
        });
      }
    }
  }
}

void ExpertMlpsTwin(const Stream& stream, const ExpertMlps& args) {
  const int64_t n_experts = static_cast<int64_t>(args.gate.size());
  const int64_t h = args.x.shape[1];
  const int64_t m = args.gate[0].shape[0];
  ScratchCursor cursor(args.scratch);
  Groups groups =
      carve_groups(cursor, {args.x.shape[0], n_experts, args.experts.shape[1], h, m, args.compute},
                   stream.pool->n_threads());
  group_pairs(args, groups);
  const Products& products = products_for(args.compute, args.gate[0].dtype);
  const auto tiling = [&](int64_t e) {
    return Tiling(groups.offsets[e + 1] - groups.offsets[e], m, h, products.column_unit, products.max_rows,
                  stream.pool->n_threads());
  };
  groups.tasks[0] = 0;
  for (int64_t e = 0; e < n_experts; ++e) groups.tasks[e + 1] = groups.tasks[e] + tiling(e).n_blocks();
  const Rows x(products, static_cast<const float*>(args.x.data), h, groups.rows);
  x.prepare(stream, args.x.shape[0], args.gate[0]);
  stream.pool->parallel_for(groups.tasks[n_experts], [&](int64_t i) {
    const int64_t e = std::upper_bound(groups.tasks, groups.tasks + n_experts, i) - groups.tasks - 1;
    gate_up_block(args, groups, x, e, tiling(e).block(i - groups.tasks[e]));
  });
  const Rows hidden(products, groups.hidden, m, groups.rows);
  hidden.prepare(stream, groups.offsets[n_experts], args.down[0]);
  for_ranges(stream, h, down_columns_of_task(stream, h, products.column_unit),
             [&](int64_t begin, int64_t end) { down_columns(args, groups, hidden, begin, end); });
}

size_t ExpertMlpsScratch(const Stream& stream, const ExpertMlpsShape& shape) {
  ScratchCursor cursor;
  carve_groups(cursor, shape, stream.pool->n_threads());
  return cursor.used();
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels::cpu {

HWY_EXPORT(ExpertMlpsTwin);
HWY_EXPORT(ExpertMlpsScratch);
void expert_mlps(const Stream& stream, const ExpertMlps& args) {
  HWY_DYNAMIC_DISPATCH(ExpertMlpsTwin)(stream, args);
}
size_t expert_mlps_scratch_bytes(const Stream& stream, const ExpertMlpsShape& shape) {
  return HWY_DYNAMIC_DISPATCH(ExpertMlpsScratch)(stream, shape);
}

}  // namespace fathom::kernels::cpu
#endif  // HWY_ONCE
