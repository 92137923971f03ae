// route: softmax over the experts of a token and the choice of k.
#include "kernels/cpu/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/route.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom::kernels::cpu::HWY_NAMESPACE {

constexpr int64_t kMaxExperts = 1024;

/// In place; the sum of the exponentials in double, in ascending id.
void softmax(float* x, int64_t n) {
  const float max = *std::max_element(x, x + n);
  for_vectors(n, [&](int64_t i, int64_t lanes) {
    store_n(exp(hn::Sub(load_n(x + i, lanes), hn::Set(F32(), max))), x + i, lanes);
  });
  double sum = 0.0;
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  for (int64_t i = 0; i < n; ++i) x[i] = static_cast<float>(x[i] / sum);
}

/// Index of the largest of x[0 .. n) that is not `taken`, the lowest among equals; NaN never wins over a
/// number.
int64_t best_free(const float* x, const bool* taken, int64_t n) {
  int64_t best = -1;
  for (int64_t i = 0; i < n; ++i) {
    if (!taken[i] && (best < 0 || x[i] > x[best])) best = i;
  }
  return best;
}

/// Marks the experts of all groups but the topk_group best as taken.
void limit_groups(const Route& args, const float* p, int64_t n_experts, bool* taken) {
  const int64_t group_size = n_experts / args.n_group;
  float group_max[kMaxExperts];
  bool kept[kMaxExperts] = {};
  for (int64_t g = 0; g < args.n_group; ++g) {
    group_max[g] = *std::max_element(p + g * group_size, p + (g + 1) * group_size);
  }
  for (int64_t i = 0; i < args.topk_group; ++i) kept[best_free(group_max, kept, args.n_group)] = true;
  for (int64_t e = 0; e < n_experts; ++e) taken[e] = !kept[e / group_size];
}

void route_row(const Route& args, float* p, int64_t n_experts, int32_t* experts, float* weights, int64_t k) {
  softmax(p, n_experts);
  bool taken[kMaxExperts] = {};
  if (args.topk_group < args.n_group) limit_groups(args, p, n_experts, taken);
  float sum = 0.0f;
  for (int64_t i = 0; i < k; ++i) {
    const int64_t e = best_free(p, taken, n_experts);
    taken[e] = true;
    experts[i] = static_cast<int32_t>(e);
    weights[i] = p[e];
    sum += p[e];
  }
  const bool normalise = args.norm_topk_prob && k > 1;
  for (int64_t i = 0; i < k; ++i)
    weights[i] = normalise ? weights[i] / (sum + 1e-20f) : weights[i] * args.scale;
}

void RouteTwin(const Stream& stream, const Route& args) {
  const int64_t n_experts = args.logits.shape[1];
  const int64_t k = args.experts.shape[1];
  auto* logits = static_cast<float*>(args.logits.data);
  auto* experts = static_cast<int32_t*>(args.experts.data);
  auto* weights = static_cast<float*>(args.weights.data);
  for_ranges(stream, args.logits.shape[0], row_grain(8 * n_experts), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      route_row(args, logits + t * n_experts, n_experts, experts + t * k, weights + t * k, k);
    }
  });
}

}  // namespace fathom::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::kernels::cpu {

HWY_EXPORT(RouteTwin);
void route(const Stream& stream, const Route& args) {
  HWY_DYNAMIC_DISPATCH(RouteTwin)(stream, args);
}

}  // namespace fathom::kernels::cpu
#endif  // HWY_ONCE
