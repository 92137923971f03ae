// Shapes written as text, "[H*(dn+dr), rq]": what the tensor table states, errors print and loading checks,
// once.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/config.h"

namespace fathom::engine {

/// The dimensions that `expression` names for `config`. Grammar: "[sum, sum, ...]" with +, * and parentheses
/// over integers and the symbols V vocab_size, h hidden_size, H num_attention_heads, dn qk_nope_head_dim, dr
/// qk_rope_head_dim, dv v_head_dim, rq q_lora_rank, rk kv_lora_rank, i intermediate_size, m
/// moe_intermediate_size, E n_routed_experts, S n_shared_experts. A malformed expression is a bug
/// (FATHOM_CHECK); a config whose products overflow int64 is Error{kBadInput}.
std::vector<int64_t> evaluate_shape(std::string_view expression, const ModelConfig& config);

}  // namespace fathom::engine
