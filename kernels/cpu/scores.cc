// log_softmax_gather and top_logprobs: log probabilities of rows of logits.
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/scores.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/logsumexp-inl.h"
#include "kernels/cpu/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

void LogSoftmaxGatherTwin(const Stream& stream, const LogSoftmaxGather& args) {
  const int64_t vocab = args.logits.shape[1];
  const auto* logits = static_cast<const float*>(args.logits.data);
  const auto* offsets = static_cast<const int32_t*>(args.offsets.data);
  const auto* ids = static_cast<const int32_t*>(args.ids.data);
  auto* logprobs = static_cast<float*>(args.logprobs.data);
  auto* argmax = static_cast<int32_t*>(args.argmax.data);
  stream.pool->parallel_for(args.logits.shape[0], [&](int64_t t) {
    const float* row = logits + t * vocab;
    const LogSumExp lse = log_sum_exp(row, vocab, 1.0f);
    argmax[t] = lse.argmax;
    for (int32_t i = offsets[t]; i < offsets[t + 1]; ++i) {
      FATHOM_CHECK(ids[i] >= 0 && ids[i] < vocab && i < args.ids.shape[0], "id {} of {}", ids[i], vocab);
      logprobs[i] = static_cast<float>(row[ids[i]] - lse.value);
    }
  });
}

void TopLogprobsTwin(const Stream& stream, const TopLogprobs& args) {
  const int64_t vocab = args.logits.shape[1];
  const int64_t k = args.ids.shape[1];
  const auto* logits = static_cast<const float*>(args.logits.data);
  stream.pool->parallel_for(args.logits.shape[0], [&](int64_t t) {
    const float* row = logits + t * vocab;
    int32_t* ids = static_cast<int32_t*>(args.ids.data) + t * k;
    float* best = static_cast<float*>(args.logprobs.data) + t * k;
    // Insertion into a short sorted list; an equal logit goes behind the lower id that is there already.
    int64_t n = 0;
    for (int64_t v = 0; v < vocab; ++v) {
      if (n == k && !(row[v] > best[k - 1])) continue;
      int64_t at = n < k ? n++ : k - 1;
      for (; at > 0 && row[v] > best[at - 1]; --at) {
        best[at] = best[at - 1];
        ids[at] = ids[at - 1];
      }
      best[at] = row[v];
      ids[at] = static_cast<int32_t>(v);
    }
    const double lse = log_sum_exp(row, vocab, 1.0f).value;
    for (int64_t i = 0; i < k; ++i) best[i] = static_cast<float>(best[i] - lse);
  });
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels::cpu {

HWY_EXPORT(LogSoftmaxGatherTwin);
HWY_EXPORT(TopLogprobsTwin);
void log_softmax_gather(const Stream& stream, const LogSoftmaxGather& args) {
  HWY_DYNAMIC_DISPATCH(LogSoftmaxGatherTwin)(stream, args);
}
void top_logprobs(const Stream& stream, const TopLogprobs& args) {
  HWY_DYNAMIC_DISPATCH(TopLogprobsTwin)(stream, args);
}

}  // namespace fathom::kernels::cpu
#endif  // HWY_ONCE
