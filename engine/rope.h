// RoPE with YaRN: what config.json's rope settings mean in numbers.
//
// Frequencies are the reference's fp32 ones, bit for bit: every step of its formula is rounded to fp32 as
// PyTorch does. Where implementations differ on missing mscale keys, the original model's reading wins.
#pragma once

#include <vector>

#include "engine/config.h"

namespace fathom::engine {

/// inv_freq[j] of the pairs j = 0 .. dr/2 - 1. Plain: theta^(-2j/dr). YaRN: that value for fast pairs, the
/// same divided by `factor` for slow ones, and between the pairs `low` and `high` a linear blend.
std::vector<float> rope_inv_freq(const ModelConfig& config);

/// Multiplies cos and sin: g(mscale) / g(mscale_all_dim) with g(c) = 0.1 c ln(factor) + 1. A missing mscale
/// is 1, a missing mscale_all_dim 0. Without YaRN 1.
float yarn_attention_factor(const ModelConfig& config);

/// (dn + dr)^-0.5, times g(mscale_all_dim)^2 with YaRN and mscale_all_dim given and not 0.
float softmax_scale(const ModelConfig& config);

}  // namespace fathom::engine
