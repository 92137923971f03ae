// multiply_bf16: products of numbers rounded to bf16 on tensor cores.
//
// A chunk is 32 consecutive k, two multiply_adds. So that a lane's share of a row is one load of 16 bytes,
// the k of a chunk are dealt out so: lane (g, t) takes k = 8 t .. 8 t + 7 of rows g and g + 8, the first four
// for the first multiply_add, the others for the second. Weights and rows are dealt alike, and all kernels
// deal alike: that is part of the order of additions. A chunk that K does not fill is filled with zeros.
#include <type_traits>

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/product_parts.h"
#include "kernels/cuda/weight_type.h"

namespace fathom::kernels::cuda {
namespace {

constexpr int kChunk = 32;     // of k
constexpr int kMmaCols = 16;   // columns of the output (rows of the weights) of a multiply_add
constexpr int kMmaRows = 8;    // rows of the output
constexpr int kLaneShare = 8;  // k of a chunk that a lane has
constexpr int kChunkBytes = 64;

/// sums[i] += the products of a chunk; `low` and `high` are rows g and g + 8 of the weights.
template <int n>
FATHOM_DEVICE void add_chunk(const Simt& simt, const Words& low, const Words& high, const Words (&x)[n],
                             int n_used, float (&sums)[n][4]) {
  const uint32_t first[4] = {low.w[0], high.w[0], low.w[1], high.w[1]};
  const uint32_t second[4] = {low.w[2], high.w[2], low.w[3], high.w[3]};
  FATHOM_UNROLL
  for (int i = 0; i < n; ++i) {
    if (i < n_used) simt.multiply_add(sums[i], first, {x[i].w[0], x[i].w[1]});
  }
  FATHOM_UNROLL
  for (int i = 0; i < n; ++i) {
    if (i < n_used) simt.multiply_add(sums[i], second, {x[i].w[2], x[i].w[3]});
  }
}

FATHOM_DEVICE inline Words words_at(const void* from) {
  return *static_cast<const Words*>(from);
}

/// 8 consecutive numbers as they lie in memory.
template <typename T>
struct Share {
  static constexpr int kParts = sizeof(T) * kLaneShare / sizeof(Words);
  Words parts[kParts];
};

/// From a multiple of 16 bytes; `load` reads 16. Nothing here waits for what it reads.
template <typename T, typename Load>
FATHOM_DEVICE void read_share(const T* from, const Load& load, Share<T>& to) {
  FATHOM_UNROLL
  for (int i = 0; i < Share<T>::kParts; ++i) to.parts[i] = load(from + i * 16 / sizeof(T));
}

FATHOM_DEVICE inline Words rounded(const float (&values)[kLaneShare]) {
  Words v;
  FATHOM_UNROLL
  for (int i = 0; i < 4; ++i) v.w[i] = to_bf16_pair(values[2 * i], values[2 * i + 1]);
  return v;
}
FATHOM_DEVICE inline Words rounded(const Share<Bf16>& share) {
  return share.parts[0];
}
FATHOM_DEVICE inline Words rounded(const Share<F16>& share) {
  float values[kLaneShare];
  FATHOM_UNROLL
  for (int i = 0; i < kLaneShare; ++i)
    values[i] = widen(F16{static_cast<uint16_t>(share.parts[0].w[i / 2] >> (16 * (i % 2)))});
  return rounded(values);
}
FATHOM_DEVICE inline Words rounded(const Share<float>& share) {
  float values[kLaneShare];
  FATHOM_UNROLL
  for (int i = 0; i < kLaneShare; ++i) values[i] = float_of_bits(share.parts[i / 4].w[i % 4]);
  return rounded(values);
}

/// Elements k .. k + 7 of a row of n, rounded, wherever they lie; zeros from n on and for no row.
template <typename T>
FATHOM_DEVICE Words any_share(const T* row, int64_t k, int64_t n) {
  float values[kLaneShare] = {};
  for (int i = 0; i < kLaneShare; ++i) {
    if (row != nullptr && k + i < n) values[i] = widen(row[k + i]);
  }
  return rounded(values);
}

/// 8 n_tiles rows by 16 columns: a warp has a segment of K for all of them, and reads its weights straight
/// from memory, several chunks ahead.
template <typename W, typename X, int n_tiles>
struct NarrowBf16 {
  static constexpr int kThreads = kSegments * kWarp;
  static constexpr const char* kName = "product (bf16, narrow)";
  static constexpr int kRows = kMmaRows * n_tiles;
  static constexpr int kCols = kMmaCols;
  static constexpr int kAhead = n_tiles == 1 ? 4 : 2;
  static constexpr size_t kSharedBytes = kSegments * kRows * kCols * sizeof(float);
  struct Params {
    Product product;
    bool vector_loads;  // every row of weights and of x starts at a multiple of 16 bytes
  };

  FATHOM_DEVICE static void run(const Simt& simt, const Params& params) {
    const Product& p = params.product;
    const ProductTile tile = tile_of(simt, p, simt.block_y(), kRows);
    if (tile.n_rows <= 0) return;
    const int64_t first_col = simt.block_x() * kCols;
    float sums[n_tiles][4] = {};
    add_segment(simt, params, tile, first_col, sums);
    auto* partial = simt.shared<float>();  // [segment][row][column]
    const int g = simt.lane() / 4, t = simt.lane() % 4;
    FATHOM_UNROLL
    for (int i = 0; i < n_tiles; ++i) {
      FATHOM_UNROLL
      for (int j = 0; j < 4; ++j) {
        const int row = simt.warp() * kRows + i * kMmaRows + 2 * t + j % 2;
        partial[row * kCols + g + j / 2 * 8] = sums[i][j];
      }
    }
    simt.barrier();
    for (int i = simt.thread(); i < kRows * kCols; i += kThreads) {
      const int64_t col = first_col + i % kCols;
      if (i / kCols >= tile.n_rows || col >= p.n_cols) continue;
      float total = 0.0f;
      FATHOM_UNROLL
      for (int s = 0; s < kSegments; ++s) total += partial[s * kRows * kCols + i];
      store(p, tile, i / kCols, col, total);
    }
  }

 private:
  FATHOM_DEVICE static const X* row_of(const Product& p, const ProductTile& tile, int64_t i) {
    if (i >= tile.n_rows) return nullptr;
    if constexpr (std::is_same_v<X, float>) {
      return x_row(p, tile, i);
    } else {
      return p.rounded + x_index(p, tile, i) * rounded_width(p.k);
    }
  }

  FATHOM_DEVICE static void add_segment(const Simt& simt, const Params& params, const ProductTile& tile,
                                        int64_t first_col, float (&sums)[n_tiles][4]) {
    const Product& p = params.product;
    const int g = simt.lane() / 4;
    // Columns behind the last repeat it: their sums are not stored.
    const W* weights = weight_of<W>(p, tile.group);
    const W* low = weights + at_most(first_col + g, p.n_cols - 1) * p.k;
    const W* high = weights + at_most(first_col + g + 8, p.n_cols - 1) * p.k;
    const X* x[n_tiles];
    FATHOM_UNROLL
    for (int i = 0; i < n_tiles; ++i) x[i] = row_of(p, tile, i * kMmaRows + g);
    const int n_used = static_cast<int>(div_up(tile.n_rows, kMmaRows));
    const int64_t end = segment_begin(p.k, simt.warp() + 1);
    const int64_t mine = simt.lane() % 4 * kLaneShare;
    int64_t k = segment_begin(p.k, simt.warp());
    const int64_t whole_end = params.vector_loads ? at_most(end, p.k / kChunk * kChunk) : k;
    for (; k < whole_end; k += kAhead * kChunk) {
      Share<W> w_low[kAhead] = {}, w_high[kAhead] = {};
      Share<X> rows[kAhead][n_tiles] = {};
      FATHOM_UNROLL
      for (int c = 0; c < kAhead; ++c) {
        if (k + c * kChunk >= whole_end) continue;
        const int64_t at = k + c * kChunk + mine;
        const auto once = [&](const void* from) { return simt.load_once(from); };
        read_share(low + at, once, w_low[c]);
        read_share(high + at, once, w_high[c]);
        FATHOM_UNROLL
        for (int i = 0; i < n_tiles; ++i) {
          if (x[i] != nullptr) read_share(x[i] + at, words_at, rows[c][i]);
        }
      }
      FATHOM_UNROLL
      for (int c = 0; c < kAhead; ++c) {
        if (k + c * kChunk >= whole_end) continue;
        Words chunk[n_tiles];
        FATHOM_UNROLL
        for (int i = 0; i < n_tiles; ++i) chunk[i] = rounded(rows[c][i]);
        add_chunk(simt, rounded(w_low[c]), rounded(w_high[c]), chunk, n_used, sums);
      }
    }
    for (k = at_least(segment_begin(p.k, simt.warp()), whole_end); k < end; k += kChunk) {
      Words chunk[n_tiles];
      for (int i = 0; i < n_tiles; ++i) chunk[i] = any_share(x[i], k + mine, p.k);
      add_chunk(simt, any_share(low, k + mine, p.k), any_share(high, k + mine, p.k), chunk, n_used, sums);
    }
  }
};

/// 32 n_tiles rows by 32 m_tiles columns: 8 warps, 2 by columns and 4 by rows, over operands in shared memory
/// that are brought in two chunks a step, some steps ahead. Weights are BF16 and rows rounded.
///
/// In shared memory a chunk is its rows of 64 bytes one after the other, so that the 8 lanes that are served
/// together read 128 bytes in a row; in every second chunk neighbouring rows change places, so that those who
/// write do not meet in one bank either.
template <int m_tiles, int n_tiles>
struct WideBf16 {
  static constexpr int kThreads = 256;
  static constexpr const char* kName = "product (bf16, wide)";
  static constexpr int kCols = 2 * kMmaCols * m_tiles;
  static constexpr int kRows = 4 * kMmaRows * n_tiles;
  static constexpr int kStages = 3;
  static constexpr int kStepChunks = 2;
  static constexpr int kStep = kStepChunks * kChunk;
  static constexpr int kStageBytes = (kCols + kRows) * kStepChunks * kChunkBytes;
  static constexpr size_t kSharedBytes = static_cast<size_t>(kStages) * kStageBytes;
  struct Params {
    Product product;
    int64_t n_row_tiles;
  };

  FATHOM_DEVICE static void run(const Simt& simt, const Params& params) {
    const Product& p = params.product;
    const Place place = place_of(simt, params);
    const ProductTile tile = tile_of(simt, p, place.row_tile, kRows);
    if (tile.n_rows <= 0) return;
    const int64_t first_col = place.col_tile * kCols;
    Source source(simt, p, tile, first_col);
    const auto n_chunks = static_cast<int>(div_up(p.k, kChunk));
    const auto chunks_of_segment = static_cast<int>(segment_length(p.k) / kChunk);
    const int n_steps = (n_chunks + kStepChunks - 1) / kStepChunks;
    const int my_col = simt.warp() % 2 * kMmaCols * m_tiles;
    const int my_row = simt.warp() / 2 * kMmaRows * n_tiles;
    const bool idle = my_row >= tile.n_rows;
    float totals[m_tiles][n_tiles][4] = {};
    float sums[m_tiles][n_tiles][4] = {};
    for (int s = 0; s < kStages - 1; ++s) source.bring(simt, p, s, s);
    int in_segment = 0;
    int stage = 0;
    for (int step = 0; step < n_steps; ++step) {
      simt.template wait_copies<kStages - 2>();
      simt.barrier();  // the step is there, and nobody reads what came before it
      source.bring(simt, p, step + kStages - 1, stage == 0 ? kStages - 1 : stage - 1);
      FATHOM_UNROLL
      for (int c = 0; c < kStepChunks; ++c) {
        if (step * kStepChunks + c < n_chunks) {
          if (!idle) add_stage_chunk(simt, stage, c, my_col, my_row, sums);
          if (++in_segment == chunks_of_segment) {
            in_segment = 0;
            add_to(totals, sums);
          }
        }
      }
      stage = stage == kStages - 1 ? 0 : stage + 1;
    }
    add_to(totals, sums);  // the last segment where it is short; else zeros, which change nothing
    if (p.bias == nullptr && !p.accumulate) {
      float* const out = p.out + tile.group * p.out_group + tile.first_row * p.out_stride;
      for_each_sum(simt, my_row, first_col + my_col, totals, [&](int row, int64_t col, float sum) {
        if (row < tile.n_rows && col < p.n_cols) out[row * p.out_stride + col] = sum;
      });
    } else {
      for_each_sum(simt, my_row, first_col + my_col, totals, [&](int row, int64_t col, float sum) {
        if (row < tile.n_rows && col < p.n_cols) store(p, tile, row, col, sum);
      });
    }
  }

 private:
  struct Place {
    int64_t row_tile, col_tile;
  };
  /// Blocks that run at the same time share weights and rows in L2: 8 row tiles pass over all columns.
  FATHOM_DEVICE static Place place_of(const Simt& simt, const Params& params) {
    constexpr int64_t kTogether = 8;
    const int64_t n_cols = simt.n_blocks_x();
    const int64_t i = simt.block_y() * n_cols + simt.block_x();
    const int64_t first = i / (kTogether * n_cols) * kTogether;
    const int64_t height = at_most(kTogether, params.n_row_tiles - first);
    const int64_t in_band = i - first * n_cols;
    return {first + in_band % height, in_band / height};
  }

  /// Byte of a row's share t of chunk c in what bring() brought, from the first row of its operand on.
  FATHOM_DEVICE static int byte_of(int c, int n, int row, int t) {
    return (c * n + (row ^ (c % 2))) * kChunkBytes + t * 16;
  }

  /// What this thread brings in: 16 bytes of one row in 32, of columns and of rows.
  class Source {
   public:
    FATHOM_DEVICE Source(const Simt& simt, const Product& p, const ProductTile& tile, int64_t first_col)
        : row_(simt.thread() / 8),
          part_(simt.thread() % 8),
          weights_(weight_of<Bf16>(p, tile.group) + (first_col + row_) * p.k + part_ * kLaneShare),
          n_cols_(p.n_cols - first_col) {
      FATHOM_UNROLL
      for (int i = 0; i < n_tiles; ++i) {
        const int row = row_ + i * kApart;
        x_[i] = row < tile.n_rows
                    ? p.rounded + x_index(p, tile, row) * rounded_width(p.k) + part_ * kLaneShare
                    : nullptr;
      }
    }

    /// A group of copies, even when there is nothing left to bring.
    FATHOM_DEVICE void bring(const Simt& simt, const Product& p, int step, int stage) const {
      const int64_t first = static_cast<int64_t>(step) * kStep;
      if (first < p.k) {
        // Rows are zero up to a whole chunk, weights end at k; p.rounded stands for what is not read.
        const bool has_weights = first + part_ * kLaneShare < p.k;
        const bool has_rows = first + part_ / 4 * kChunk < p.k;
        char* const to = simt.shared<char>() + stage * kStageBytes;
        FATHOM_UNROLL
        for (int i = 0; i < m_tiles; ++i) {
          const int row = row_ + i * kApart;
          const bool there = has_weights && row < n_cols_;
          simt.copy_async(to + byte_of(part_ / 4, kCols, row, part_ % 4),
                          there ? weights_ + i * kApart * p.k + first : p.rounded, !there);
        }
        FATHOM_UNROLL
        for (int i = 0; i < n_tiles; ++i) {
          const bool there = has_rows && x_[i] != nullptr;
          simt.copy_async(to + kCols * kStepChunks * kChunkBytes +
                              byte_of(part_ / 4, kRows, row_ + i * kApart, part_ % 4),
                          there ? x_[i] + first : p.rounded, !there);
        }
      }
      simt.close_copies();
    }

   private:
    static constexpr int kApart = kThreads / 8;
    static_assert(kCols == kApart * m_tiles && kRows == kApart * n_tiles);

    int row_, part_;
    const Bf16* weights_;
    int64_t n_cols_;
    const Bf16* x_[n_tiles];
  };

  FATHOM_DEVICE static void add_stage_chunk(const Simt& simt, int stage, int c, int my_col, int my_row,
                                            float (&sums)[m_tiles][n_tiles][4]) {
    const char* const weights = simt.shared<char>() + stage * kStageBytes;
    const char* const rows = weights + kCols * kStepChunks * kChunkBytes;
    const int g = simt.lane() / 4, t = simt.lane() % 4;
    Words x[n_tiles];
    FATHOM_UNROLL
    for (int n = 0; n < n_tiles; ++n) x[n] = words_at(rows + byte_of(c, kRows, my_row + n * kMmaRows + g, t));
    FATHOM_UNROLL
    for (int m = 0; m < m_tiles; ++m) {
      const int row = my_col + m * kMmaCols + g;
      add_chunk(simt, words_at(weights + byte_of(c, kCols, row, t)),
                words_at(weights + byte_of(c, kCols, row + 8, t)), x, n_tiles, sums[m]);
    }
  }

  /// body(row, column, sum) of all that this thread has.
  template <typename Body>
  FATHOM_DEVICE static void for_each_sum(const Simt& simt, int first_row, int64_t first_col,
                                         const float (&sums)[m_tiles][n_tiles][4], const Body& body) {
    const int g = simt.lane() / 4, t = simt.lane() % 4;
    FATHOM_UNROLL
    for (int m = 0; m < m_tiles; ++m) {
      FATHOM_UNROLL
      for (int n = 0; n < n_tiles; ++n) {
        FATHOM_UNROLL
        for (int j = 0; j < 4; ++j) {
          body(first_row + n * kMmaRows + 2 * t + j % 2, first_col + m * kMmaCols + g + j / 2 * 8,
               sums[m][n][j]);
        }
      }
    }
  }

  /// totals += sums, sums = 0.
  FATHOM_DEVICE static void add_to(float (&totals)[m_tiles][n_tiles][4], float (&sums)[m_tiles][n_tiles][4]) {
    FATHOM_UNROLL
    for (int m = 0; m < m_tiles; ++m) {
      FATHOM_UNROLL
      for (int n = 0; n < n_tiles; ++n) {
        FATHOM_UNROLL
        for (int j = 0; j < 4; ++j) {
          totals[m][n][j] += sums[m][n][j];
          sums[m][n][j] = 0.0f;
        }
      }
    }
  }
};

struct RoundRowsKernel {
  static constexpr int kThreads = 256;
  static constexpr const char* kName = "rows rounded to bf16";
  struct Params {
    const float* x;
    int64_t k;
    uint32_t* to;  // pairs
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const float* x = p.x + simt.block_x() * p.k;
    const int64_t n_pairs = rounded_width(p.k) / 2;
    for (int64_t i = simt.thread(); i < n_pairs; i += kThreads) {
      const float low = 2 * i < p.k ? x[2 * i] : 0.0f;
      const float high = 2 * i + 1 < p.k ? x[2 * i + 1] : 0.0f;
      p.to[simt.block_x() * n_pairs + i] = to_bf16_pair(low, high);
    }
  }
};

bool has_vector_weights(const Product& p) {
  return p.k % kLaneShare == 0 && p.weight_group % kLaneShare == 0 && is_aligned(p.weight);
}

template <typename X, int n_tiles>
void launch_narrow(const Stream& stream, const Product& p) {
  with_weight_type(p.dtype, [&](const auto* weight) {
    using W = std::remove_cv_t<std::remove_pointer_t<decltype(weight)>>;
    using Kernel = NarrowBf16<W, X, n_tiles>;
    const bool vector_x = std::is_same_v<X, Bf16> || (p.k % kLaneShare == 0 && p.x_stride % 4 == 0 &&
                                                      p.x_group % 4 == 0 && is_aligned(p.x));
    launch<Kernel>(stream, grid_of(p, Kernel::kRows, Kernel::kCols), Kernel::kSharedBytes,
                   {p, has_vector_weights(p) && vector_x});
  });
}

template <int m_tiles, int n_tiles>
void launch_wide(const Stream& stream, const Product& p) {
  using Kernel = WideBf16<m_tiles, n_tiles>;
  require(p.dtype == Dtype::kBF16 && has_vector_weights(p), "wide bf16 products take aligned BF16 weights");
  const GridSize grid = grid_of(p, Kernel::kRows, Kernel::kCols);
  launch<Kernel>(stream, grid, Kernel::kSharedBytes, {p, grid.y});
}

/// F32 and F16 weights would have to be rounded for every tile anew.
bool may_be_wide(const Product& p) {
  return p.dtype == Dtype::kBF16 && has_vector_weights(p);
}

}  // namespace

Bf16Kernel bf16_kernel(const Product& p) {
  // Blocks that keep some hundred multiprocessors busy; fewer are better cut along K, as the narrow ones are.
  constexpr int64_t kEnoughSmall = 64;
  constexpr int64_t kEnoughLarge = 96;
  if (p.n_rows <= 8) return Bf16Kernel::k8x16;
  if (p.n_rows <= 32 || !may_be_wide(p)) return Bf16Kernel::k32x16;
  const auto n_blocks = [&](int64_t size) { return div_up(p.n_rows, size) * div_up(p.n_cols, size); };
  if (p.n_rows > 64 && n_blocks(128) >= kEnoughLarge) return Bf16Kernel::k128x128;
  return n_blocks(64) >= kEnoughSmall ? Bf16Kernel::k64x64 : Bf16Kernel::k32x16;
}

Bf16Kernel bf16_kernel_of_groups(const Product& p, int64_t n_rows) {
  if (n_rows <= 4) return Bf16Kernel::k8x16;
  if (n_rows <= 16 || !may_be_wide(p)) return Bf16Kernel::k32x16;
  return n_rows <= 64 ? Bf16Kernel::k64x64 : Bf16Kernel::k128x128;
}

int64_t tile_rows(Bf16Kernel kernel) {
  constexpr int64_t kRows[] = {8, 32, 64, 128};
  return kRows[static_cast<int>(kernel)];
}

RowFormat bf16_rows_of(Bf16Kernel kernel) {
  return kernel == Bf16Kernel::k8x16 ? RowFormat::kF32 : RowFormat::kBF16;
}

void multiply_bf16(const Stream& stream, Product p, Bf16Kernel kernel) {
  switch (kernel) {
    case Bf16Kernel::k8x16:
      return launch_narrow<float, 1>(stream, p);
    case Bf16Kernel::k32x16:
      return launch_narrow<Bf16, 4>(stream, p);
    case Bf16Kernel::k64x64:
      return launch_wide<2, 2>(stream, p);
    case Bf16Kernel::k128x128:
      return launch_wide<4, 4>(stream, p);
  }
}

void round_rows(const Stream& stream, const float* x, int64_t n_rows, int64_t k, Bf16* to) {
  launch<RoundRowsKernel>(stream, {.x = n_rows}, 0, {x, k, reinterpret_cast<uint32_t*>(to)});
}

}  // namespace fathom::kernels::cuda
