// Row operations: gather, convert, RMSNorm, add, SiLU, the mark of NaNs and infinities.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/elements.h"
#include "kernels/cuda/index.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numbers.h"
#include "kernels/cuda/reduce.h"
#include "kernels/cuda/rms.h"

namespace fathom::kernels::cuda {
namespace {

struct GatherKernel {
  static constexpr int kThreads = kRowThreads;
  static constexpr const char* kName = "gather_rows";
  struct Params {
    const void* table;
    Dtype dtype;
    int64_t n_table;
    const int32_t* rows;
    float* out;
    int64_t width;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const int64_t t = simt.block_x();
    const int64_t row = p.rows[t];
    if (row < 0 || row >= p.n_table) return simt.fail();
    for (int64_t i = simt.thread(); i < p.width; i += kThreads) {
      p.out[t * p.width + i] = load_as(p.table, p.dtype, row * p.width + i);
    }
  }
};

struct ConvertKernel {
  static constexpr int kThreads = kElementThreads;
  static constexpr const char* kName = "convert";
  struct Params {
    const void* from;
    Dtype from_dtype;
    void* to;
    Dtype to_dtype;
    int64_t n;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    for_elements(simt, p.n, [&](int64_t i) {
      const float value = load_as(p.from, p.from_dtype, i);
      if (p.to_dtype == Dtype::kF32) {
        static_cast<float*>(p.to)[i] = value;
      } else {
        static_cast<Bf16*>(p.to)[i] = {to_bf16(value)};
      }
    });
  }
};

struct RmsNormKernel {
  static constexpr int kThreads = kRowThreads;
  static constexpr const char* kName = "rms_norm";
  struct Params {
    float* x;
    const float* add;  // or null
    NormWeight weight;
    float* out;
    int64_t n;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    float* x = p.x + simt.block_x() * p.n;
    if (p.add != nullptr) {
      const float* delta = p.add + simt.block_x() * p.n;
      // A thread reads back only what it wrote itself.
      for (int64_t i = simt.thread(); i < p.n; i += kThreads) x[i] += delta[i];
    }
    rms_norm_row(simt, x, p.weight, p.out + simt.block_x() * p.n, p.n);
  }
};

struct AddKernel {
  static constexpr int kThreads = kElementThreads;
  static constexpr const char* kName = "add";
  struct Params {
    float* x;
    const float* delta;
    int64_t n;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    for_elements(simt, p.n, [&](int64_t i) { p.x[i] += p.delta[i]; });
  }
};

struct SiluMulKernel {
  static constexpr int kThreads = kElementThreads;
  static constexpr const char* kName = "silu_mul";
  struct Params {
    float* gate;
    const float* up;
    int64_t n;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    for_elements(simt, p.n, [&](int64_t i) { p.gate[i] = silu_times(p.gate[i], p.up[i]); });
  }
};

struct MarkNonFiniteKernel {
  static constexpr int kThreads = kElementThreads;
  static constexpr const char* kName = "mark_non_finite";
  struct Params {
    const float* x;
    int64_t n;
    int32_t* flag;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    for_elements(simt, p.n, [&](int64_t i) {
      if (!is_finite(p.x[i])) *p.flag = 1;  // whoever writes writes the same
    });
  }
};

}  // namespace

void gather_rows(const Stream& stream, const GatherRows& args) {
  launch<GatherKernel>(
      stream, {.x = args.out.shape[0]}, 0,
      {args.table.data, args.table.dtype, args.table.shape[0], static_cast<const int32_t*>(args.rows.data),
       static_cast<float*>(args.out.data), args.out.shape[1]});
}

void convert(const Stream& stream, const Convert& args) {
  const int64_t n = args.from.elements();
  launch<ConvertKernel>(stream, element_blocks(n), 0,
                        {args.from.data, args.from.dtype, args.to.data, args.to.dtype, n});
}

void rms_norm(const Stream& stream, const RmsNorm& args) {
  launch<RmsNormKernel>(stream, {.x = args.x.shape[0]}, kRowWarps * sizeof(float),
                        {static_cast<float*>(args.x.data), static_cast<const float*>(args.add.data),
                         NormWeight{args.weight.data, args.weight.dtype, args.eps},
                         static_cast<float*>(args.out.data), args.x.shape[1]});
}

void add(const Stream& stream, const Add& args) {
  const int64_t n = args.x.elements();
  launch<AddKernel>(stream, element_blocks(n), 0,
                    {static_cast<float*>(args.x.data), static_cast<const float*>(args.delta.data), n});
}

void silu_mul(const Stream& stream, const SiluMul& args) {
  const int64_t n = args.gate.elements();
  launch<SiluMulKernel>(stream, element_blocks(n), 0,
                        {static_cast<float*>(args.gate.data), static_cast<const float*>(args.up.data), n});
}

void mark_non_finite(const Stream& stream, const MarkNonFinite& args) {
  const int64_t n = args.x.elements();
  launch<MarkNonFiniteKernel>(
      stream, element_blocks(n), 0,
      {static_cast<const float*>(args.x.data), n, static_cast<int32_t*>(args.flags.data) + args.index});
}

}  // namespace fathom::kernels::cuda
