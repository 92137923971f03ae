// expert_mlps: pairs of a row and one of its experts, sorted by expert on the device, so that each expert's
// weights are read for all its rows at once.
//
// 1. count and group: pairs of non-zero weight in ascending expert, then row; a list of tiles that never
// cross an expert.
// 2. gate and up: one product a tile; silu(gate) * up.   3. down: one row a pair.
// 4. combine: a row's pairs in ascending expert id, by fma from zero. Where a pair lies never matters to its
// value.
#include <algorithm>
#include <array>

#include "kernels/cpu/scratch.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numbers.h"
#include "kernels/cuda/product.h"
#include "kernels/cuda/reduce.h"

namespace fathom::kernels::cuda {
namespace {

constexpr int64_t kMaxExperts = 1024;

struct Groups {
  const void** weights;  // [3, E]: gate, up, down of each expert
  int32_t* counts;       // [E]: pairs of each expert
  int32_t* pair_row;     // [T k]: the row of each pair
  int32_t* place;        // [T, k]: the pair of each slot, -1 for a weight of zero
  ProductTile* tiles;
  int32_t* n_tiles;  // [1]
  int32_t* n_pairs;  // [1]: those of non-zero weight
  float* gate;       // [T k, m]; after 2. the hidden row of each pair
  float* up;         // [T k, m]
  float* down;       // [T k, h]
  Bf16* x;           // kBF16: [T, rounded_width(h)], rounded
  Bf16* hidden;      // kBF16: [T k, rounded_width(m)], likewise
};

Groups carve(cpu::ScratchCursor& cursor, const ExpertMlpsShape& s) {
  const int64_t n_pairs = s.max_rows * s.experts_per_token;
  const bool rounds = s.compute == Compute::kBF16;
  return {cursor.take<const void*>(3 * s.n_experts),
          cursor.take<int32_t>(s.n_experts),
          cursor.take<int32_t>(n_pairs),
          cursor.take<int32_t>(n_pairs),
          cursor.take<ProductTile>(max_tiles(n_pairs, s.n_experts, tile_rows(1))),
          cursor.take<int32_t>(1),
          cursor.take<int32_t>(1),
          cursor.take<float>(n_pairs * s.width),
          cursor.take<float>(n_pairs * s.width),
          cursor.take<float>(n_pairs * s.hidden),
          cursor.take<Bf16>(rounds ? s.max_rows * rounded_width(s.hidden) : 0),
          cursor.take<Bf16>(rounds ? n_pairs * rounded_width(s.width) : 0)};
}

/// Whose pairs a block looks for, among all.
struct GroupParams {
  const int32_t* experts;
  const float* weights;
  int64_t n_pairs;
  int64_t k;
  int64_t n_experts;
  int64_t tile_height;
  Groups groups;
};

/// A block an expert.
struct CountKernel {
  static constexpr int kThreads = kRowThreads;
  static constexpr const char* kName = "expert_mlps (count)";
  using Params = GroupParams;
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const int64_t e = simt.block_x();
    int32_t count = 0;
    for (int64_t i = simt.thread(); i < p.n_pairs; i += kThreads) {
      if (p.experts[i] < 0 || p.experts[i] >= p.n_experts) return simt.fail();
      if (p.experts[i] == e && p.weights[i] != 0.0f) ++count;
    }
    count = block_reduce(simt, count, Sum(), simt.shared<int32_t>());
    if (simt.thread() == 0) p.groups.counts[e] = count;
  }
};

/// A block an expert: its pairs in ascending order of slots, and its tiles. A thread has consecutive slots.
struct GroupKernel {
  static constexpr int kThreads = kRowThreads;
  static constexpr const char* kName = "expert_mlps (group)";
  static constexpr size_t kSharedBytes = kThreads * sizeof(int32_t);
  using Params = GroupParams;
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const Groups& g = p.groups;
    const int64_t e = simt.block_x();
    int32_t first = 0, first_tile = 0;  // behind those of the experts before
    for (int64_t i = simt.thread(); i < e; i += kThreads) {
      first += g.counts[i];
      first_tile += static_cast<int32_t>(div_up(g.counts[i], p.tile_height));
    }
    auto* const shared = simt.shared<int32_t>();
    first = block_reduce(simt, first, Sum(), shared);
    first_tile = block_reduce(simt, first_tile, Sum(), shared);

    const int32_t n = g.counts[e];
    const auto n_tiles = static_cast<int32_t>(div_up(n, p.tile_height));
    for (int32_t i = simt.thread(); i < n_tiles; i += kThreads)
      g.tiles[first_tile + i] = tile_of_group(e, first, n, p.tile_height, i);
    if (e == p.n_experts - 1 && simt.thread() == 0) {
      *g.n_pairs = first + n;
      *g.n_tiles = first_tile + n_tiles;
    }

    const int64_t each = div_up(p.n_pairs, kThreads);
    const int64_t begin = simt.thread() * each;
    const int64_t end = at_most(begin + each, p.n_pairs);
    int32_t mine = 0;
    for (int64_t i = begin; i < end; ++i) mine += p.experts[i] == e && p.weights[i] != 0.0f ? 1 : 0;
    shared[simt.thread()] = mine;
    simt.barrier();
    int32_t at = first;
    for (int i = 0; i < simt.thread(); ++i) at += shared[i];
    for (int64_t i = begin; i < end; ++i) {
      if (p.experts[i] != e) continue;
      g.place[i] = p.weights[i] != 0.0f ? at : -1;
      if (p.weights[i] != 0.0f) g.pair_row[at++] = static_cast<int32_t>(i / p.k);
    }
  }
};

struct SiluPairsKernel {
  static constexpr int kThreads = 256;
  static constexpr const char* kName = "expert_mlps (silu)";
  struct Params {
    float* gate;
    const float* up;
    int64_t width;
    const int32_t* n_pairs;
    Bf16* rounded;  // [n_pairs, rounded_width(width)]: where the result goes, rounded; null: to gate
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const int64_t pair = simt.block_x();
    if (pair >= *p.n_pairs) return;
    float* const gate = p.gate + pair * p.width;
    const float* const up = p.up + pair * p.width;
    if (p.rounded == nullptr) {
      for (int64_t i = simt.thread(); i < p.width; i += kThreads) gate[i] = silu_times(gate[i], up[i]);
      return;
    }
    const int64_t padded = rounded_width(p.width);
    for (int64_t i = simt.thread(); i < padded; i += kThreads) {
      const float hidden = i < p.width ? silu_times(gate[i], up[i]) : 0.0f;
      p.rounded[pair * padded + i] = {to_bf16(hidden)};
    }
  }
};

struct CombineKernel {
  static constexpr int kThreads = 256;
  static constexpr const char* kName = "expert_mlps (combine)";
  struct Params {
    const int32_t* experts;
    const float* weights;
    const int32_t* place;
    const float* down;
    int64_t k;
    int64_t hidden;
    float* out;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const int64_t first = simt.block_x() * p.k;
    auto* order = simt.shared<int32_t>();  // slots in ascending expert id, which are distinct
    for (int64_t i = simt.thread(); i < p.k; i += kThreads) {
      int64_t rank = 0;
      for (int64_t j = 0; j < p.k; ++j) rank += p.experts[first + j] < p.experts[first + i] ? 1 : 0;
      order[rank] = static_cast<int32_t>(i);
    }
    simt.barrier();
    for (int64_t c = simt.thread(); c < p.hidden; c += kThreads) {
      float y = 0.0f;
      for (int64_t i = 0; i < p.k; ++i) {
        const int64_t slot = first + order[i];
        const int64_t place = p.place[slot];
        if (place >= 0) y = fmaf(p.weights[slot], p.down[place * p.hidden + c], y);
      }
      p.out[simt.block_x() * p.hidden + c] = y;
    }
  }
};

/// The products of all three matrices, which share their tiles.
class Products {
 public:
  Products(Compute compute, const Product& gate, const Product& down)
      : compute_(compute),
        n_rows_(gate.n_rows),
        kernel_(std::min(bf16_kernel_of_groups(gate, n_rows_), bf16_kernel_of_groups(down, n_rows_))) {}

  int64_t tile_rows() const {
    return compute_ == Compute::kBF16 ? cuda::tile_rows(kernel_) : cuda::tile_rows(n_rows_);
  }
  bool read_rounded_rows() const {
    return compute_ == Compute::kBF16 && bf16_rows_of(kernel_) == RowFormat::kBF16;
  }
  void multiply(const Stream& stream, const Product& product) const {
    if (compute_ == Compute::kBF16) return multiply_bf16(stream, product, kernel_);
    cuda::multiply(stream, product);
  }

 private:
  Compute compute_;
  int64_t n_rows_;
  Bf16Kernel kernel_;  // the one that both gate's and down's inner lengths allow
};

void upload_weights(const Stream& stream, const ExpertMlps& args, const void** to) {
  const size_t n = args.gate.size();
  require(n <= kMaxExperts, "expert_mlps takes at most 1024 experts");
  std::array<const void*, 3 * kMaxExperts> pointers;
  for (size_t e = 0; e < n; ++e) {
    pointers[e] = args.gate[e].data;
    pointers[n + e] = args.up[e].data;
    pointers[2 * n + e] = args.down[e].data;
  }
  copy_to_device(stream, pointers.data(), to, 3 * n * sizeof(void*));
}

}  // namespace

void expert_mlps(const Stream& stream, const ExpertMlps& args) {
  const int64_t n_rows = args.x.shape[0];
  if (n_rows == 0) return;
  const ExpertMlpsShape s{.max_rows = n_rows,
                          .n_experts = static_cast<int64_t>(args.gate.size()),
                          .experts_per_token = args.experts.shape[1],
                          .hidden = args.x.shape[1],
                          .width = args.gate[0].shape[0],
                          .compute = args.compute};
  const int64_t n_pairs = n_rows * s.experts_per_token;
  cpu::ScratchCursor cursor(args.scratch);
  const Groups g = carve(cursor, s);
  upload_weights(stream, args, g.weights);
  const int64_t rows_per_expert = div_up(n_pairs, s.n_experts);
  Product gate{.x = static_cast<const float*>(args.x.data),
               .x_stride = s.hidden,
               .x_rows = g.pair_row,
               .dtype = args.gate[0].dtype,
               .weights = g.weights,
               .out = g.gate,
               .out_stride = s.width,
               .k = s.hidden,
               .n_cols = s.width,
               .n_rows = rows_per_expert,
               .tiles = g.tiles,
               .n_tiles = g.n_tiles};
  Product down = gate;
  down.x = g.gate;
  down.x_stride = s.width;
  down.x_rows = nullptr;
  down.weights = g.weights + 2 * s.n_experts;
  down.out = g.down;
  down.out_stride = s.hidden;
  down.k = s.width;
  down.n_cols = s.hidden;
  const Products products(args.compute, gate, down);
  const int64_t height = products.tile_rows();
  gate.max_tiles = down.max_tiles = max_tiles(n_pairs, s.n_experts, height);
  const auto* experts = static_cast<const int32_t*>(args.experts.data);
  const auto* weights = static_cast<const float*>(args.weights.data);
  const GroupParams group{experts, weights, n_pairs, s.experts_per_token, s.n_experts, height, g};
  launch<CountKernel>(stream, {.x = s.n_experts}, kRowWarps * sizeof(int32_t), group);
  launch<GroupKernel>(stream, {.x = s.n_experts}, GroupKernel::kSharedBytes, group);
  if (products.read_rounded_rows()) {
    round_rows(stream, gate.x, n_rows, s.hidden, g.x);
    gate.rounded = g.x;
    down.rounded = g.hidden;
  }
  products.multiply(stream, gate);
  Product up = gate;
  up.weights = g.weights + s.n_experts;
  up.out = g.up;
  products.multiply(stream, up);
  launch<SiluPairsKernel>(
      stream, {.x = n_pairs}, 0,
      {g.gate, g.up, s.width, g.n_pairs, products.read_rounded_rows() ? g.hidden : nullptr});
  products.multiply(stream, down);
  launch<CombineKernel>(
      stream, {.x = n_rows}, static_cast<size_t>(s.experts_per_token) * sizeof(int32_t),
      {experts, weights, g.place, g.down, s.experts_per_token, s.hidden, static_cast<float*>(args.out.data)});
}

size_t expert_mlps_scratch_bytes(const ExpertMlpsShape& shape) {
  cpu::ScratchCursor cursor;
  carve(cursor, shape);
  return cursor.used();
}

}  // namespace fathom::kernels::cuda
