// What depends on a token's position: the RoPE table, the rotation, and the rows of the latent cache.
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/positions.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/latent_encoding.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rms-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

// The rotation is a handful of multiplications a pair: scalar, products and sums rounded one by one.
void rotate(const float* x, const float* table, float* out, int64_t dr) {
  for (int64_t j = 0; j < dr; j += 2) {
    const float a = x[j];
    const float b = x[j + 1];
    const float cos = table[j];
    const float sin = table[j + 1];
    out[j] = a * cos - b * sin;
    out[j + 1] = b * cos + a * sin;
  }
}

void RopeTableTwin(const Stream& stream, const RopeTable& args) {
  const int64_t dr = args.out.shape[1];
  const auto* positions = static_cast<const int32_t*>(args.positions.data);
  const auto* inv_freq = static_cast<const float*>(args.inv_freq.data);
  auto* out = static_cast<float*>(args.out.data);
  for_ranges(stream, args.out.shape[0], 16, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t j = 0; j < dr / 2; ++j) {
        // The angle is rounded to fp32 as in the reference; its cosine and sine are taken in double.
        const double angle = static_cast<float>(positions[t]) * inv_freq[j];
        out[t * dr + 2 * j] = static_cast<float>(std::cos(angle)) * args.factor;
        out[t * dr + 2 * j + 1] = static_cast<float>(std::sin(angle)) * args.factor;
      }
    }
  });
}

void RopeTwin(const Stream& stream, const Rope& args) {
  const int64_t n_heads = args.x.shape[1];
  const int64_t head = args.x.shape[2];
  const int64_t dr = args.table.shape[1];
  auto* x = static_cast<float*>(args.x.data);
  const auto* table = static_cast<const float*>(args.table.data);
  for_ranges(stream, args.x.shape[0], row_grain(n_heads * dr), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t a = 0; a < n_heads; ++a) {
        float* pe = x + (t * n_heads + a) * head + head - dr;
        rotate(pe, table + t * dr, pe, dr);
      }
    }
  });
}

void WriteLatentsTwin(const Stream& stream, const WriteLatents& args) {
  const int64_t rank = args.weight.shape[0];
  const int64_t dr = args.table.shape[1];
  auto* kv = static_cast<float*>(args.kv.data);
  const auto* table = static_cast<const float*>(args.table.data);
  const auto* slots = static_cast<const int32_t*>(args.slots.data);
  const int64_t n_slots = args.cache.shape[0] * kBlockTokens;
  const LatentLayout layout(args.format, rank, dr);
  auto* cache = static_cast<std::byte*>(args.cache.data);
  with_weight_type(args.weight, [&](const auto* weight) {
    for_ranges(stream, args.kv.shape[0], row_grain(rank + dr), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        FATHOM_CHECK(slots[t] >= 0 && slots[t] < n_slots, "slot {} of {}", slots[t], n_slots);
        float* row = kv + t * (rank + dr);
        rms_norm_row(row, weight, args.eps, row, rank);
        rotate(row + rank, table + t * dr, row + rank, dr);
        encode_latent_row(layout, row, cache + slots[t] * layout.row_bytes);
      }
    });
  });
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels::cpu {

HWY_EXPORT(RopeTableTwin);
HWY_EXPORT(RopeTwin);
HWY_EXPORT(WriteLatentsTwin);

void rope_table(const Stream& stream, const RopeTable& args) {
  HWY_DYNAMIC_DISPATCH(RopeTableTwin)(stream, args);
}
void rope(const Stream& stream, const Rope& args) {
  HWY_DYNAMIC_DISPATCH(RopeTwin)(stream, args);
}
void write_latents(const Stream& stream, const WriteLatents& args) {
  HWY_DYNAMIC_DISPATCH(WriteLatentsTwin)(stream, args);
}

}  // namespace fathom::kernels::cpu
#endif  // HWY_ONCE
