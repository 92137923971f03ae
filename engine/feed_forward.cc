// Dense and mixture-of-experts feed-forward layers of Forward.
#include <algorithm>

#include "engine/forward.h"

namespace fathom::engine {

// normed -> delta, or delta + it: W_down (silu(W_gate x) * W_up x), a piece of rows at a time.
void Forward::mlp(const MlpWeights& w, Sum sum) {
  const int64_t width = w.gate_proj.shape[0];
  for (int64_t begin = 0; begin < n_rows(); begin += work_.mlp_rows) {
    const int64_t end = std::min(n_rows(), begin + work_.mlp_rows);
    const Tensor x = work_.normed.rows(n_rows()).rows(begin, end);  // [n, h]
    const Tensor gate = work_.gate.view({end - begin, width});
    const Tensor up = work_.up.view({end - begin, width});
    linear({.x = x, .weight = w.gate_proj, .out = gate});
    linear({.x = x, .weight = w.up_proj, .out = up});
    kernels::silu_mul(stream_, {.gate = gate, .up = up});
    linear({.x = gate,
            .weight = w.down_proj,
            .out = work_.delta.rows(n_rows()).rows(begin, end),
            .accumulate = sum == Sum::kAdd});
  }
}

// normed -> delta: the routed experts' weighted sum, then the shared experts, which no gate weighs.
void Forward::moe(int64_t i, const MoeWeights& w) {
  const int64_t n = n_rows();
  const bool grouped = config_.topk_method == TopkMethod::kGroupLimitedGreedy;
  const Tensor normed = work_.normed.rows(n);                           // [T, h]
  const Tensor router_logits = work_.router_logits.rows(n);             // [T, E]
  const Tensor experts = work_.routes[static_cast<size_t>(i)].rows(n);  // [T, k]
  const Tensor weights = work_.expert_weights.rows(n);                  // [T, k]

  // The router is fp32 whatever --compute says.
  kernels::linear(stream_,
                  {.x = normed, .weight = w.gate, .out = router_logits, .scratch = work_.scratch.scratch()});
  kernels::route(stream_, {.logits = router_logits,
                           .n_group = grouped ? config_.n_group : 1,
                           .topk_group = grouped ? config_.topk_group : 1,
                           .norm_topk_prob = config_.norm_topk_prob,
                           .scale = static_cast<float>(config_.routed_scaling_factor),
                           .experts = experts,
                           .weights = weights});
  const ExpertTensors& tensors = expert_tensors_[static_cast<size_t>(i)];
  kernels::expert_mlps(stream_, {.x = normed,
                                 .experts = experts,
                                 .weights = weights,
                                 .gate = tensors.gate,
                                 .up = tensors.up,
                                 .down = tensors.down,
                                 .out = work_.delta.rows(n),
                                 .compute = work_.limits.compute,
                                 .scratch = work_.scratch.scratch()});
  if (w.shared_experts) mlp(*w.shared_experts, Sum::kAdd);
}

}  // namespace fathom::engine
