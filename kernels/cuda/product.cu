// The two kernels of product.h, and linear.
#include "kernels/cuda/product.h"

#include <type_traits>

#include "kernels/cpu/scratch.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/library.h"
#include "kernels/cuda/product_parts.h"
#include "kernels/cuda/weight_type.h"

namespace fathom::kernels::cuda {
namespace {

constexpr int64_t kNarrowRows = 8;
constexpr int64_t kWideRows = 64;
/// Up to here a batch re-reads its weights from L2 rather than leave most of a wide tile empty.
constexpr int64_t kMostNarrowRows = 32;

template <typename T>
struct alignas(16) Vector16 {
  T values[16 / sizeof(T)];
};

/// n values from an address that is a multiple of 16 bytes.
template <int n, typename T>
FATHOM_DEVICE void load_vector(const T* from, float (&to)[n]) {
  constexpr int kPerLoad = 16 / sizeof(T);
  static_assert(n % kPerLoad == 0);
  FATHOM_UNROLL
  for (int i = 0; i < n; i += kPerLoad) {
    const Vector16<T> packed = *reinterpret_cast<const Vector16<T>*>(from + i);
    FATHOM_UNROLL
    for (int j = 0; j < kPerLoad; ++j) to[i + j] = widen(packed.values[j]);
  }
}

/// 8 rows by 32 columns: a lane has a column, a warp has a segment of K for all 8 rows.
template <typename W>
struct ProductNarrow {
  static constexpr int kThreads = kSegments * kWarp;
  static constexpr const char* kName = "product (narrow)";
  static constexpr int64_t kCols = kWarp;
  static constexpr size_t kSharedBytes = kSegments * kNarrowRows * kCols * sizeof(float);
  using Params = Product;

  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const ProductTile tile = tile_of(simt, p, simt.block_y(), kNarrowRows);
    if (tile.n_rows <= 0) return;
    const int64_t col = simt.block_x() * kCols + simt.lane();
    float sums[kNarrowRows] = {};
    if (col < p.n_cols) {
      add_segment(p, tile, weight_of<W>(p, tile.group) + col * p.k, segment_begin(p.k, simt.warp()),
                  segment_begin(p.k, simt.warp() + 1), sums);
    }
    float* partial = simt.shared<float>();  // [segment][row][column]
    FATHOM_UNROLL
    for (int r = 0; r < kNarrowRows; ++r)
      partial[(simt.warp() * kNarrowRows + r) * kCols + simt.lane()] = sums[r];
    simt.barrier();
    const int row = simt.warp();  // as many warps as rows
    if (row >= tile.n_rows || col >= p.n_cols) return;
    float total = 0.0f;
    for (int s = 0; s < kSegments; ++s) total += partial[(s * kNarrowRows + row) * kCols + simt.lane()];
    store(p, tile, row, col, total);
  }

 private:
  static_assert(kSegments == kNarrowRows);

  FATHOM_DEVICE static void add_segment(const Product& p, const ProductTile& tile, const W* w, int64_t begin,
                                        int64_t end, float (&sums)[kNarrowRows]) {
    const float* x[kNarrowRows];
    FATHOM_UNROLL
    for (int r = 0; r < kNarrowRows; ++r) x[r] = r < tile.n_rows ? x_row(p, tile, r) : nullptr;
    int64_t k = begin;
    if (p.vector_loads) {
      for (; k + 8 <= end; k += 8) {
        float weights[8];
        load_vector(w + k, weights);
        FATHOM_UNROLL
        for (int r = 0; r < kNarrowRows; ++r) {
          if (r >= tile.n_rows) continue;
          float values[8];
          load_vector(x[r] + k, values);
          FATHOM_UNROLL
          for (int i = 0; i < 8; ++i) sums[r] = fmaf(values[i], weights[i], sums[r]);
        }
      }
    }
    for (; k < end; ++k) {
      const float weight = widen(w[k]);
      FATHOM_UNROLL
      for (int r = 0; r < kNarrowRows; ++r) {
        if (r < tile.n_rows) sums[r] = fmaf(x[r][k], weight, sums[r]);
      }
    }
  }
};

/// 64 rows by 128 columns; a thread has 4 rows by 2 times 4 columns.
template <typename W>
struct ProductWide {
  static constexpr int kThreads = 256;
  static constexpr const char* kName = "product (wide)";
  static constexpr int kCols = 128;
  static constexpr int kRows = static_cast<int>(kWideRows);
  static constexpr int kDepth = 16;  // of K at a time; divides the segments
  static constexpr int kXStride = kRows + 4;
  static constexpr int kWStride = kCols + 4;
  static constexpr size_t kSharedBytes = kDepth * (kXStride + kWStride) * sizeof(float);
  using Params = Product;

  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const ProductTile tile = tile_of(simt, p, simt.block_y(), kWideRows);
    if (tile.n_rows <= 0) return;
    float* const xs = simt.shared<float>();    // [k][row]
    float* const ws = xs + kDepth * kXStride;  // [k][column]
    const int64_t first_col = simt.block_x() * kCols;
    const int tx = simt.thread() % 16 * 4;
    const int ty = simt.thread() / 16 * 4;
    Slice slice(simt, p, tile, first_col);
    float totals[4][8] = {};
    float sums[4][8] = {};
    int64_t segment_end = segment_length(p.k);
    slice.read(p, 0);
    for (int64_t k = 0; k < p.k; k += kDepth) {
      slice.share(xs, ws);
      simt.barrier();
      slice.read(p, k + kDepth);  // on its way while this one is multiplied
      if (k + kDepth <= p.k) {
        FATHOM_UNROLL
        for (int i = 0; i < kDepth; ++i) add_products(xs + i * kXStride + ty, ws + i * kWStride + tx, sums);
      } else {
        for (int64_t i = 0; k + i < p.k; ++i)
          add_products(xs + i * kXStride + ty, ws + i * kWStride + tx, sums);
      }
      simt.barrier();
      if (k + kDepth == segment_end) {
        segment_end += segment_length(p.k);
        add_to(totals, sums);
      }
    }
    add_to(totals, sums);  // the last segment where it is short; else zeros, which change nothing
    FATHOM_UNROLL
    for (int i = 0; i < 4; ++i) {
      FATHOM_UNROLL
      for (int j = 0; j < 8; ++j) {
        const int64_t col = first_col + tx + j % 4 + j / 4 * (kCols / 2);
        if (ty + i < tile.n_rows && col < p.n_cols) store(p, tile, ty + i, col, totals[i][j]);
      }
    }
  }

 private:
  /// What this thread brings in: 4 consecutive k of one row and of two columns.
  class Slice {
   public:
    FATHOM_DEVICE Slice(const Simt& simt, const Product& p, const ProductTile& tile, int64_t first_col)
        : row_(simt.thread() / 4), depth_(simt.thread() % 4 * 4) {
      x_row_ = row_ < tile.n_rows ? x_row(p, tile, row_) : nullptr;
      FATHOM_UNROLL
      for (int c = 0; c < 2; ++c) {
        const int64_t col = first_col + row_ + c * kRows;
        w_rows_[c] = col < p.n_cols ? weight_of<W>(p, tile.group) + col * p.k : nullptr;
      }
    }
    FATHOM_DEVICE void read(const Product& p, int64_t k) {
      read_four(x_row_, k + depth_, p, x_);
      FATHOM_UNROLL
      for (int c = 0; c < 2; ++c) read_four(w_rows_[c], k + depth_, p, w_[c]);
    }
    FATHOM_DEVICE void share(float* xs, float* ws) const {
      FATHOM_UNROLL
      for (int i = 0; i < 4; ++i) {
        xs[(depth_ + i) * kXStride + row_] = widen(x_.values[i]);
        FATHOM_UNROLL
        for (int c = 0; c < 2; ++c) ws[(depth_ + i) * kWStride + row_ + c * kRows] = widen(w_[c].values[i]);
      }
    }

   private:
    template <typename T>
    struct alignas(4 * sizeof(T)) Four {
      T values[4];
    };
    /// Elements k .. k + 3 of a row, zeros behind its end and for no row.
    template <typename T>
    FATHOM_DEVICE static void read_four(const T* row, int64_t k, const Product& p, Four<T>& to) {
      to = {};
      if (row == nullptr) return;
      if (p.vector_loads) {
        if (k < p.k) to = *reinterpret_cast<const Four<T>*>(row + k);
        return;
      }
      FATHOM_UNROLL
      for (int i = 0; i < 4; ++i) {
        if (k + i < p.k) to.values[i] = row[k + i];
      }
    }

    int row_, depth_;
    const float* x_row_;
    const W* w_rows_[2];
    Four<float> x_;
    Four<W> w_[2];
  };

  struct alignas(16) Floats {
    float values[4];
  };
  FATHOM_DEVICE static void add_products(const float* x, const float* w, float (&sums)[4][8]) {
    const Floats values = *reinterpret_cast<const Floats*>(x);
    const Floats low = *reinterpret_cast<const Floats*>(w);
    const Floats high = *reinterpret_cast<const Floats*>(w + kCols / 2);
    FATHOM_UNROLL
    for (int i = 0; i < 4; ++i) {
      FATHOM_UNROLL
      for (int j = 0; j < 4; ++j) {
        sums[i][j] = fmaf(values.values[i], low.values[j], sums[i][j]);
        sums[i][j + 4] = fmaf(values.values[i], high.values[j], sums[i][j + 4]);
      }
    }
  }

  /// totals += sums, sums = 0.
  FATHOM_DEVICE static void add_to(float (&totals)[4][8], float (&sums)[4][8]) {
    FATHOM_UNROLL
    for (int i = 0; i < 4; ++i) {
      FATHOM_UNROLL
      for (int j = 0; j < 8; ++j) {
        totals[i][j] += sums[i][j];
        sums[i][j] = 0.0f;
      }
    }
  }
};

template <template <typename> typename Kernel>
void launch_product(const Stream& stream, const Product& p, int64_t height) {
  with_weight_type(p.dtype, [&](const auto* weight) {
    using W = std::remove_cv_t<std::remove_pointer_t<decltype(weight)>>;
    launch<Kernel<W>>(stream, grid_of(p, height, Kernel<W>::kCols), Kernel<W>::kSharedBytes, p);
  });
}

}  // namespace

int64_t tile_rows(int64_t n_rows) {
  return n_rows <= kMostNarrowRows ? kNarrowRows : kWideRows;
}

void multiply(const Stream& stream, Product p) {
  // Multiples of 8 elements are multiples of 16 bytes in every dtype. Pointers in device memory cannot be
  // looked at here: they are whole allocations, which are aligned.
  p.vector_loads = p.k % 8 == 0 && p.x_stride % 8 == 0 && p.x_group % 8 == 0 && p.weight_group % 8 == 0 &&
                   is_aligned(p.x) && is_aligned(p.weight);
  if (tile_rows(p.n_rows) == kNarrowRows) {
    launch_product<ProductNarrow>(stream, p, kNarrowRows);
  } else {
    launch_product<ProductWide>(stream, p, kWideRows);
  }
}

void linear(const Stream& stream, const Linear& args) {
  Product p{.x = static_cast<const float*>(args.x.data),
            .x_stride = args.x.shape[1],
            .dtype = args.weight.dtype,
            .weight = args.weight.data,
            .bias = args.bias.data,
            .bias_dtype = args.bias.dtype,
            .out = static_cast<float*>(args.out.data),
            .out_stride = args.out.shape[1],
            .accumulate = args.accumulate,
            .k = args.x.shape[1],
            .n_cols = args.weight.shape[0],
            .n_rows = args.x.shape[0]};
  if (args.compute == Compute::kF32) return multiply(stream, p);
  const Bf16Kernel kernel = bf16_kernel(p);
  const bool by_library = stream.library != nullptr && stream.library->takes(args);
  if (by_library || bf16_rows_of(kernel) == RowFormat::kBF16) {
    cpu::ScratchCursor cursor(args.scratch);
    auto* rounded = cursor.take<Bf16>(p.n_rows * rounded_width(p.k));
    round_rows(stream, p.x, p.n_rows, p.k, rounded);
    p.rounded = rounded;
  }
  if (!by_library) return multiply_bf16(stream, p, kernel);
  stream.library->multiply(stream, {.x = p.rounded,
                                    .weight = static_cast<const Bf16*>(p.weight),
                                    .out = p.out,
                                    .m = p.n_rows,
                                    .k = p.k,
                                    .n = p.n_cols,
                                    .accumulate = p.accumulate});
}

size_t linear_scratch_bytes(Compute compute, int64_t max_rows, int64_t max_inputs) {
  cpu::ScratchCursor cursor;
  if (compute == Compute::kBF16) cursor.take<Bf16>(max_rows * rounded_width(max_inputs));
  return cursor.used();
}

}  // namespace fathom::kernels::cuda
