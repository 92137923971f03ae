// What depends on a token's position: the RoPE table, the rotation, and the rows of the latent cache.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/index.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/rms.h"

namespace fathom::kernels::cuda {
namespace {

constexpr int kPairThreads = 64;

/// One interleaved pair, products and sums rounded one by one as on the CPU.
FATHOM_DEVICE void rotate(const float* x, const float* table, float* out) {
  const float a = x[0];
  const float b = x[1];
  out[0] = a * table[0] - b * table[1];
  out[1] = b * table[0] + a * table[1];
}

struct RopeTableKernel {
  static constexpr int kThreads = kPairThreads;
  static constexpr const char* kName = "rope_table";
  struct Params {
    const int32_t* positions;
    const float* inv_freq;
    float factor;
    float* out;
    int64_t n_pairs;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const int64_t t = simt.block_x();
    for (int64_t j = simt.thread(); j < p.n_pairs; j += kThreads) {
      // The angle is rounded to fp32 as in the reference; its cosine and sine are taken in double.
      const double angle = static_cast<float>(p.positions[t]) * p.inv_freq[j];
      float* out = p.out + (t * p.n_pairs + j) * 2;
      out[0] = static_cast<float>(cos(angle)) * p.factor;
      out[1] = static_cast<float>(sin(angle)) * p.factor;
    }
  }
};

struct RopeKernel {
  static constexpr int kThreads = kPairThreads;
  static constexpr const char* kName = "rope";
  struct Params {
    float* x;
    const float* table;
    int64_t n_heads;
    int64_t head;  // elements of a head
    int64_t dr;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const int64_t t = simt.block_x();
    const int64_t n_pairs = p.dr / 2;
    for (int64_t i = simt.thread(); i < p.n_heads * n_pairs; i += kThreads) {
      float* pair = p.x + (t * p.n_heads + i / n_pairs + 1) * p.head - p.dr + i % n_pairs * 2;
      rotate(pair, p.table + t * p.dr + i % n_pairs * 2, pair);
    }
  }
};

struct WriteLatentsKernel {
  static constexpr int kThreads = kRowThreads;
  static constexpr const char* kName = "write_latents";
  struct Params {
    const float* kv;
    NormWeight weight;
    const float* table;
    const int32_t* slots;
    int64_t n_slots;
    float* cache;
    int64_t rank;
    int64_t dr;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const int64_t t = simt.block_x();
    const int64_t slot = p.slots[t];
    if (slot < 0 || slot >= p.n_slots) return simt.fail();
    const float* from = p.kv + t * (p.rank + p.dr);
    float* to = p.cache + slot * (p.rank + p.dr);
    rms_norm_row(simt, from, p.weight, to, p.rank);
    for (int64_t j = 2 * simt.thread(); j < p.dr; j += 2 * kThreads) {
      rotate(from + p.rank + j, p.table + t * p.dr + j, to + p.rank + j);
    }
  }
};

}  // namespace

void rope_table(const Stream& stream, const RopeTable& args) {
  launch<RopeTableKernel>(
      stream, {.x = args.out.shape[0]}, 0,
      {static_cast<const int32_t*>(args.positions.data), static_cast<const float*>(args.inv_freq.data),
       args.factor, static_cast<float*>(args.out.data), args.inv_freq.shape[0]});
}

void rope(const Stream& stream, const Rope& args) {
  launch<RopeKernel>(stream, {.x = args.x.shape[0]}, 0,
                     {static_cast<float*>(args.x.data), static_cast<const float*>(args.table.data),
                      args.x.shape[1], args.x.shape[2], args.table.shape[1]});
}

void write_latents(const Stream& stream, const WriteLatents& args) {
  launch<WriteLatentsKernel>(
      stream, {.x = args.kv.shape[0]}, kRowWarps * sizeof(float),
      {static_cast<const float*>(args.kv.data), NormWeight{args.weight.data, args.weight.dtype, args.eps},
       static_cast<const float*>(args.table.data), static_cast<const int32_t*>(args.slots.data),
       args.cache.shape[0] * kBlockTokens, static_cast<float*>(args.cache.data), args.weight.shape[0],
       args.table.shape[1]});
}

}  // namespace fathom::kernels::cuda
