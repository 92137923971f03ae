// sample: the choice of one token a row, by a draw that depends on the row's seed and position alone.
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/sample.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/logsumexp-inl.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

/// One row's working arrays, [V] each.
struct DrawScratch {
  float* p;        // softmax at the row's temperature; 0 for ids that top_p drops
  int32_t* order;  // ids by descending p
};

/// The finaliser of splitmix64.
uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// Uniform in [0, 1), 53 bits, from (seed, position).
double uniform(uint64_t seed, int64_t position) {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;
  const uint64_t bits = mix(mix(seed + kGolden) + (static_cast<uint64_t>(position) + 1) * kGolden);
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

/// Sets p of everything behind the smallest set of most likely ids that reaches top_p to 0.
void keep_nucleus(const DrawScratch& scratch, int64_t vocab, float top_p) {
  float* p = scratch.p;
  std::iota(scratch.order, scratch.order + vocab, 0);
  std::sort(scratch.order, scratch.order + vocab,
            [p](int32_t a, int32_t b) { return p[a] != p[b] ? p[a] > p[b] : a < b; });
  double sum = 0.0;
  int64_t n_kept = 0;
  while (n_kept < vocab && (n_kept == 0 || sum < top_p)) sum += p[scratch.order[n_kept++]];
  for (int64_t i = n_kept; i < vocab; ++i) p[scratch.order[i]] = 0.0f;
}

int32_t draw(const float* logits, int64_t vocab, const RowSampling& row, const DrawScratch& scratch) {
  const LogSumExp lse = log_sum_exp(logits, vocab, row.temperature);
  const float log_sum = static_cast<float>(lse.value - static_cast<double>(lse.max) / row.temperature);
  // A row with a NaN has no distribution, and sorting would have no order; mark_non_finite reports it.
  if (!std::isfinite(log_sum)) return lse.argmax;
  const VF32 max = hn::Set(F32(), lse.max);
  const VF32 temperature = hn::Set(F32(), row.temperature);
  for_vectors(vocab, [&](int64_t i, int64_t lanes) {
    const VF32 z = hn::Div(hn::Sub(load_n(logits + i, lanes), max), temperature);
    store_n(exp(hn::Sub(z, hn::Set(F32(), log_sum))), scratch.p + i, lanes);
  });
  if (row.top_p < 1.0f) keep_nucleus(scratch, vocab, row.top_p);
  double total = 0.0;
  for (int64_t v = 0; v < vocab; ++v) total += scratch.p[v];
  const double target = uniform(row.seed, row.position) * total;
  double sum = 0.0;
  int32_t last = lse.argmax;
  for (int64_t v = 0; v < vocab; ++v) {
    if (scratch.p[v] == 0.0f) continue;
    sum += scratch.p[v];
    last = static_cast<int32_t>(v);
    if (sum > target) break;
  }
  return last;
}

DrawScratch carve_draw(ScratchCursor& cursor, int64_t vocab) {
  return {cursor.take<float>(vocab), cursor.take<int32_t>(vocab)};
}

void SampleTwin(const Stream& stream, const Sample& args) {
  const int64_t vocab = args.logits.shape[1];
  const size_t row_bytes = args.scratch.bytes / std::max<size_t>(args.rows.size(), 1) / 64 * 64;
  auto* ids = static_cast<int32_t*>(args.ids.data);
  auto* logprobs = static_cast<float*>(args.logprobs.data);
  stream.pool->parallel_for(args.logits.shape[0], [&](int64_t t) {
    const float* logits = static_cast<const float*>(args.logits.data) + t * vocab;
    const RowSampling& row = args.rows[static_cast<size_t>(t)];
    const LogSumExp lse = log_sum_exp(logits, vocab, 1.0f);
    ids[t] = lse.argmax;
    if (row.temperature > 0.0f) {
      ScratchCursor cursor(
          {static_cast<std::byte*>(args.scratch.data) + static_cast<size_t>(t) * row_bytes, row_bytes});
      ids[t] = draw(logits, vocab, row, carve_draw(cursor, vocab));
    }
    logprobs[t] = static_cast<float>(logits[ids[t]] - lse.value);
  });
}

size_t SampleScratch(int64_t max_rows, int64_t vocab_size) {
  ScratchCursor cursor;
  carve_draw(cursor, vocab_size);
  return cursor.used() * static_cast<size_t>(max_rows);
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels::cpu {

HWY_EXPORT(SampleTwin);
HWY_EXPORT(SampleScratch);
void sample(const Stream& stream, const Sample& args) {
  HWY_DYNAMIC_DISPATCH(SampleTwin)(stream, args);
}
size_t sample_scratch_bytes(int64_t max_rows, int64_t vocab_size) {
  return HWY_DYNAMIC_DISPATCH(SampleScratch)(max_rows, vocab_size);
}

}  // namespace fathom::kernels::cpu
#endif  // HWY_ONCE
