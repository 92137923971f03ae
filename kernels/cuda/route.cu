// route: softmax over the experts of a token and the choice of k, one block a token.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/index.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numbers.h"
#include "kernels/cuda/reduce.h"

namespace fathom::kernels::cuda {
namespace {

constexpr int64_t kMaxExperts = 1024;

struct RouteKernel {
  static constexpr int kThreads = kRowThreads;
  static constexpr const char* kName = "route";
  struct Params {
    float* logits;
    int64_t n_experts;
    int64_t n_group;
    int64_t topk_group;
    int64_t k;
    bool normalise;
    float scale;
    int32_t* experts;
    float* weights;
  };
  struct Shared {
    double sums[kRowWarps];
    Candidate candidates[kRowWarps];
    float maxima[kRowWarps];
    bool taken[kMaxExperts];
  };

  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    auto& shared = *simt.shared<Shared>();
    float* x = p.logits + simt.block_x() * p.n_experts;
    softmax(simt, x, p.n_experts, shared);
    for (int64_t e = simt.thread(); e < p.n_experts; e += kThreads)
      shared.taken[e] = p.topk_group < p.n_group;
    simt.barrier();
    if (p.topk_group < p.n_group) {
      if (simt.thread() == 0) free_best_groups(p, x, shared);
      simt.barrier();
    }
    int32_t* experts = p.experts + simt.block_x() * p.k;
    float* weights = p.weights + simt.block_x() * p.k;
    for (int64_t i = 0; i < p.k; ++i) {
      Candidate best{0.0f, -1};
      for (int64_t e = simt.thread(); e < p.n_experts; e += kThreads) {
        if (!shared.taken[e]) best = Better()(best, Candidate{x[e], static_cast<int32_t>(e)});
      }
      best = block_reduce(simt, best, Better(), shared.candidates);
      if (simt.thread() == 0) {
        shared.taken[best.index] = true;
        experts[i] = best.index;
        weights[i] = best.value;
      }
      simt.barrier();
    }
    if (simt.thread() != 0) return;
    float sum = 0.0f;
    for (int64_t i = 0; i < p.k; ++i) sum += weights[i];
    for (int64_t i = 0; i < p.k; ++i)
      weights[i] = p.normalise ? weights[i] / (sum + 1e-20f) : weights[i] * p.scale;
  }

 private:
  /// In place. Thread t adds the exponentials of t, t + kThreads, ... in double, then block_reduce.
  FATHOM_DEVICE static void softmax(const Simt& simt, float* x, int64_t n, Shared& shared) {
    float max = x[0];
    for (int64_t i = simt.thread(); i < n; i += kThreads) max = fmaxf(max, x[i]);
    max = block_reduce(simt, max, Largest(), shared.maxima);
    double sum = 0.0;
    for (int64_t i = simt.thread(); i < n; i += kThreads) {
      x[i] = exp_of(x[i] - max);
      sum += static_cast<double>(x[i]);
    }
    sum = block_reduce(simt, sum, Sum(), shared.sums);
    for (int64_t i = simt.thread(); i < n; i += kThreads)
      x[i] = static_cast<float>(static_cast<double>(x[i]) / sum);
    simt.barrier();
  }

  /// Frees the experts of the topk_group groups of largest maximum; equal maxima: the lower group.
  FATHOM_DEVICE static void free_best_groups(const Params& p, const float* x, Shared& shared) {
    const int64_t size = p.n_experts / p.n_group;
    for (int64_t i = 0; i < p.topk_group; ++i) {
      Candidate best{0.0f, -1};
      for (int64_t g = 0; g < p.n_group; ++g) {
        if (!shared.taken[g * size]) continue;
        float max = x[g * size];
        for (int64_t e = g * size; e < (g + 1) * size; ++e) max = fmaxf(max, x[e]);
        best = Better()(best, Candidate{max, static_cast<int32_t>(g)});
      }
      for (int64_t e = best.index * size; e < (best.index + 1) * size; ++e) shared.taken[e] = false;
    }
  }
};

}  // namespace

void route(const Stream& stream, const Route& args) {
  launch<RouteKernel>(
      stream, {.x = args.logits.shape[0]}, sizeof(RouteKernel::Shared),
      {static_cast<float*>(args.logits.data), args.logits.shape[1], args.n_group, args.topk_group,
       args.experts.shape[1], args.norm_topk_prob && args.experts.shape[1] > 1, args.scale,
       static_cast<int32_t*>(args.experts.data), static_cast<float*>(args.weights.data)});
}

}  // namespace fathom::kernels::cuda
