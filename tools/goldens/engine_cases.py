"""The tiny seeded configurations behind tests/golden/engine: together they take every branch of the model."""

from __future__ import annotations

from dataclasses import dataclass, field

from reference.splitmix import uniform

_YARN = {
    "type": "yarn",
    "factor": 40,
    "original_max_position_embeddings": 4096,
    "beta_fast": 32,
    "beta_slow": 1,
    "mscale": 0.707,
    "mscale_all_dim": 0.707,
}

# Grouped routing with query compression: the large model in small.
_GROUPED = {
    "architectures": ["DeepseekV2ForCausalLM"],
    "model_type": "deepseek_v2",
    "hidden_act": "silu",
    "scoring_func": "softmax",
    "vocab_size": 128,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "q_lora_rank": 24,
    "kv_lora_rank": 32,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "intermediate_size": 96,
    "moe_intermediate_size": 48,
    "n_routed_experts": 16,
    "n_shared_experts": 2,
    "num_experts_per_tok": 3,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "topk_method": "group_limited_greedy",
    "n_group": 4,
    "topk_group": 2,
    "norm_topk_prob": False,
    "routed_scaling_factor": 16.0,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000,
    "rope_scaling": _YARN,
    "max_position_embeddings": 163840,
    "attention_bias": False,
    "tie_word_embeddings": False,
    "bos_token_id": None,
    "eos_token_id": None,
    "torch_dtype": "float32",
}

# Greedy routing with a plain q_proj: V2-Lite in small.
_GREEDY = {
    **_GROUPED,
    "q_lora_rank": None,
    "topk_method": "greedy",
    "n_group": 1,
    "topk_group": 1,
    "routed_scaling_factor": 1.0,
    "v_head_dim": 24,
}

_BEYOND = {
    "first_k_dense_replace": 0,
    "n_shared_experts": 1,
    "qk_rope_head_dim": 16,
    "topk_group": 1,
    "num_experts_per_tok": 2,
    "rope_scaling": {
        **_YARN,
        "factor": 4,
        "original_max_position_embeddings": 32,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
    },
    "max_position_embeddings": 128,
}


@dataclass
class Case:
    name: str
    covers: str
    config: dict
    length: int
    dtype: str = "F32"
    splits: list[int] = field(default_factory=list)
    positions: list[int] | None = None  # None: every position is kept
    draw: int = 1  # another set of ids, where the first has a router near-tie and so decides nothing after it

    def ids(self) -> list[int]:
        seed = f"ids of {self.name}" + (f" {self.draw}" if self.draw > 1 else "")
        draws = uniform(seed, 0, self.length)
        return [int((u + 1) / 2 * self.config["vocab_size"]) for u in draws]


def _yarn_without(*keys: str) -> dict:
    return {k: v for k, v in _YARN.items() if k not in keys}


def cases() -> list[Case]:
    odd_heads = {
        "vocab_size": 199,
        "hidden_size": 60,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "q_lora_rank": 20,
        "kv_lora_rank": 40,
        "qk_nope_head_dim": 24,
        "qk_rope_head_dim": 12,
        "v_head_dim": 20,
        "intermediate_size": 84,
        "moe_intermediate_size": 28,
        "n_routed_experts": 12,
        "n_group": 3,
    }
    long_positions = sorted({*range(0, 4500, 37), *range(4088, 4104), *range(4468, 4500)})
    return [
        Case(
            "grouped", "query compression, group-limited routing, YaRN", _GROUPED, 64, splits=[1, 7, 33, 63]
        ),
        Case(
            "greedy",
            "plain q_proj, greedy routing, v_head_dim != qk_nope_head_dim",
            _GREEDY,
            64,
            splits=[1, 40],
        ),
        Case(
            "beyond_original",
            "no dense layer, positions to 6x the original length",
            {**_GROUPED, **_BEYOND},
            200,
            splits=[31, 32, 128],
        ),
        Case(
            "two_mscales",
            "mscale != mscale_all_dim: cos and sin carry a factor",
            {**_GROUPED, "rope_scaling": {**_YARN, "mscale": 1.0}},
            48,
        ),
        Case(
            "no_mscale",
            "YaRN without mscale keys",
            {**_GROUPED, "rope_scaling": _yarn_without("mscale", "mscale_all_dim")},
            48,
        ),
        Case(
            "lone_mscale",
            "mscale without mscale_all_dim",
            {**_GREEDY, "rope_scaling": _yarn_without("mscale_all_dim")},
            48,
        ),
        Case(
            "lone_mscale_all_dim",
            "mscale_all_dim without mscale",
            {**_GREEDY, "rope_scaling": _yarn_without("mscale")},
            48,
        ),
        Case(
            "plain_rope",
            "no rope scaling, another rope_theta",
            {**_GREEDY, "rope_scaling": None, "rope_theta": 50000.0},
            96,
            splits=[50],
            draw=4,
        ),
        Case(
            "odd_sizes",
            "no size a multiple of 8, odd vocabulary, three heads",
            {**_GROUPED, **odd_heads},
            65,
            splits=[5],
        ),
        Case(
            "norm_topk",
            "norm_topk_prob: renormalised weights and no scaling factor",
            {**_GROUPED, "norm_topk_prob": True},
            64,
        ),
        Case(
            "norm_topk_single",
            "norm_topk_prob with one expert a token: the scaling factor stays",
            {**_GREEDY, "norm_topk_prob": True, "num_experts_per_tok": 1, "routed_scaling_factor": 2.5},
            48,
        ),
        Case(
            "moe_layer_freq",
            "every second layer is MoE, two leading dense layers",
            {**_GREEDY, "num_hidden_layers": 6, "moe_layer_freq": 2, "first_k_dense_replace": 2},
            48,
        ),
        Case(
            "all_eligible",
            "as many experts a token as the kept groups hold",
            {**_GROUPED, "n_routed_experts": 8, "num_experts_per_tok": 4},
            48,
        ),
        Case("no_shared", "no shared experts", {**_GREEDY, "n_shared_experts": None}, 48),
        Case("all_dense", "no routed experts at all", {**_GROUPED, "n_routed_experts": None}, 48),
        Case("tied", "lm_head is embed_tokens", {**_GREEDY, "tie_word_embeddings": True}, 48),
        Case(
            "attention_bias",
            "biases of q_a_proj, kv_a_proj_with_mqa and o_proj",
            {**_GROUPED, "attention_bias": True},
            48,
        ),
        Case(
            "norm_eps",
            "rms_norm_eps 0.01; the latent norms keep 1e-6",
            {**_GROUPED, "rms_norm_eps": 1e-2},
            48,
        ),
        Case(
            "single_layer",
            "one layer, one token",
            {**_GREEDY, "num_hidden_layers": 1, "first_k_dense_replace": 0},
            1,
        ),
        Case(
            "bf16",
            "BF16 weights with an F32 router",
            {**_GROUPED, "torch_dtype": "bfloat16"},
            64,
            dtype="BF16",
        ),
        Case(
            "fp16", "F16 weights with an F32 router", {**_GREEDY, "torch_dtype": "float16"}, 64, dtype="F16"
        ),
        Case("medium", "300 tokens", _GROUPED, 300, splits=[64, 255]),
        Case("long", "4,500 tokens, across the original length", _GROUPED, 4500, positions=long_positions),
    ]
