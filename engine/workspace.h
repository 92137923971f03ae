// Workspace: every activation of the forward pass, sized once for the largest batch.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "engine/config.h"
#include "kernels/buffer.h"
#include "kernels/kernels.h"

namespace fathom::engine {

struct WorkspaceLimits {
  int64_t max_rows = 2048;     ///< tokens of one forward pass
  int64_t max_runs = 64;       ///< runs of one forward pass
  int64_t max_head_rows = 64;  ///< rows whose logits exist at the same time
  int64_t max_targets = 4096;  ///< ids scored from those rows at a time
  int64_t max_positions = 0;   ///< longest sequence
  int64_t max_top = 20;
  kernels::Compute compute = kernels::Compute::kF32;  ///< of the matrices, but for router, head and kv_b_proj
};

/// A buffer for one kind of activation, and views of its front.
class Activation {
 public:
  Activation() = default;
  /// Room for [rows, width].
  Activation(kernels::Space space, kernels::Dtype dtype, int64_t rows, int64_t width);

  /// [n, width]
  kernels::Tensor rows(int64_t n) const { return view({n, width_}); }
  /// Any shape that fits.
  kernels::Tensor view(std::initializer_list<int64_t> dims) const { return buffer_.tensor(dtype_, dims); }

 private:
  kernels::Buffer buffer_;
  kernels::Dtype dtype_ = kernels::Dtype::kF32;
  int64_t width_ = 0;
};

/// T = max_rows, N = max_head_rows.
struct Workspace {
  Workspace(const kernels::Stream& stream, const ModelConfig& config, const WorkspaceLimits& limits);

  WorkspaceLimits limits;

  Activation inv_freq;    // [dr / 2]
  Activation rope_table;  // [T, dr]

  // the residual stream, its norm, and what a sub-layer adds to it
  Activation x;       // [T, h]
  Activation normed;  // [T, h]
  Activation delta;   // [T, h]

  // attention
  Activation q_latent;  // [T, rq]
  Activation q;         // [T, H (dn + dr)]
  Activation kv;        // [T, rk + dr]
  Activation attended;  // [T, H dv]

  // feed-forward
  int64_t mlp_rows;  // rows that dense and shared MLPs take at a time: they are many times wider than x
  Activation gate;   // [mlp rows, widest dense or shared MLP]
  Activation up;     // as gate
  Activation router_logits;        // [T, E]
  Activation expert_weights;       // [T, k]
  std::vector<Activation> routes;  // per layer [T, k] I32, empty for dense layers

  // the head
  Activation head_rows;     // [N] I32
  Activation head_hidden;   // [N, h]
  Activation logits;        // [N, V]
  Activation offsets;       // [N + 1] I32
  Activation targets;       // [max_targets] I32
  Activation logprobs;      // [max_targets]
  Activation argmax;        // [N] I32
  Activation top_ids;       // [max_top] I32
  Activation top_logprobs;  // [max_top]

  Activation flags;         // [2 L + 1] I32: attention and feed-forward of each layer, logits
  kernels::Buffer scratch;  // the largest any operation asks for
};

}  // namespace fathom::engine
