// log_softmax_gather and top_logprobs: log probabilities of rows of logits, one block a row.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/index.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/log_sum_exp.h"

namespace fathom::kernels::cuda {
namespace {

struct LogSoftmaxGatherKernel {
  static constexpr int kThreads = kRowThreads;
  static constexpr const char* kName = "log_softmax_gather";
  struct Params {
    const float* logits;
    int64_t vocab;
    const int32_t* offsets;
    const int32_t* ids;
    int64_t n_ids;
    float* logprobs;
    int32_t* argmax;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    const int64_t t = simt.block_x();
    const float* row = p.logits + t * p.vocab;
    const LogSumExp lse = log_sum_exp(simt, row, p.vocab, 1.0f, *simt.shared<LogSumExpRoom>());
    if (simt.thread() == 0) p.argmax[t] = lse.max.index;
    for (int64_t i = p.offsets[t] + simt.thread(); i < p.offsets[t + 1]; i += kThreads) {
      if (i >= p.n_ids || p.ids[i] < 0 || p.ids[i] >= p.vocab) return simt.fail();
      p.logprobs[i] = static_cast<float>(row[p.ids[i]] - lse.value);
    }
  }
};

struct TopLogprobsKernel {
  static constexpr int kThreads = kRowThreads;
  static constexpr const char* kName = "top_logprobs";
  struct Params {
    const float* logits;
    int64_t vocab;
    int64_t k;
    int32_t* ids;
    float* logprobs;
  };
  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    auto& room = *simt.shared<LogSumExpRoom>();
    const int64_t t = simt.block_x();
    const float* row = p.logits + t * p.vocab;
    const LogSumExp lse = log_sum_exp(simt, row, p.vocab, 1.0f, room);
    // k times the best of what comes behind the last; NaNs come behind all numbers.
    Candidate last{0.0f, -1};
    for (int64_t i = 0; i < p.k; ++i) {
      Candidate best{0.0f, -1};
      for (int64_t v = simt.thread(); v < p.vocab; v += kThreads) {
        const Candidate here{row[v], static_cast<int32_t>(v)};
        if (here.index == last.index) continue;
        if (last.index >= 0 && Better()(last, here).index == here.index) continue;  // taken already
        best = Better()(best, here);
      }
      last = block_reduce(simt, best, Better(), room.candidates);
      if (simt.thread() != 0) continue;
      p.ids[t * p.k + i] = last.index;
      p.logprobs[t * p.k + i] = static_cast<float>(last.value - lse.value);
    }
  }
};

}  // namespace

void log_softmax_gather(const Stream& stream, const LogSoftmaxGather& args) {
  launch<LogSoftmaxGatherKernel>(
      stream, {.x = args.logits.shape[0]}, sizeof(LogSumExpRoom),
      {static_cast<const float*>(args.logits.data), args.logits.shape[1],
       static_cast<const int32_t*>(args.offsets.data), static_cast<const int32_t*>(args.ids.data),
       args.ids.shape[0], static_cast<float*>(args.logprobs.data), static_cast<int32_t*>(args.argmax.data)});
}

void top_logprobs(const Stream& stream, const TopLogprobs& args) {
  launch<TopLogprobsKernel>(
      stream, {.x = args.logits.shape[0]}, sizeof(LogSumExpRoom),
      {static_cast<const float*>(args.logits.data), args.logits.shape[1], args.ids.shape[1],
       static_cast<int32_t*>(args.ids.data), static_cast<float*>(args.logprobs.data)});
}

}  // namespace fathom::kernels::cuda
