"""Geometry of a DeepSeek-V2 checkpoint: config.json with the original model's defaults, and the tensor table.

Field names are Hugging Face's config keys. Nothing here reads weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

# Defaults of the original configuration for keys a file may leave out.
_DEFAULTS = {
    "first_k_dense_replace": 0,
    "moe_layer_freq": 1,
    "n_routed_experts": None,
    "n_shared_experts": None,
    "num_experts_per_tok": None,
    "n_group": 1,
    "topk_group": 1,
    "topk_method": "greedy",
    "norm_topk_prob": False,
    "routed_scaling_factor": 1.0,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "attention_bias": False,
    "tie_word_embeddings": False,
    "q_lora_rank": 1536,
}


def resolve(config: dict) -> dict:
    """`config` with every key the mathematics needs, in the original spelling (rope_theta, rope_scaling)."""
    c = {**_DEFAULTS, **copy.deepcopy(config)}
    if c.get("rope_parameters") is not None:  # as transformers 5 writes it
        rope = c["rope_parameters"]
        c["rope_theta"] = rope["rope_theta"]
        kind = rope.get("rope_type", rope.get("type", "default"))
        c["rope_scaling"] = None if kind == "default" else {**rope, "type": kind}
    if c["rope_scaling"] is not None:
        kind = c["rope_scaling"].get("rope_type", c["rope_scaling"].get("type"))
        if kind != "yarn":
            raise ValueError(f"rope_scaling type: expected yarn, found {kind!r}")
    if c["topk_method"] not in ("greedy", "group_limited_greedy"):
        raise ValueError(f"topk_method: expected greedy or group_limited_greedy, found {c['topk_method']!r}")
    return c


def is_moe_layer(config: dict, layer: int) -> bool:
    """The original rule: experts exist, layer >= first_k_dense_replace and layer % moe_layer_freq == 0."""
    return (
        bool(config["n_routed_experts"])
        and layer >= config["first_k_dense_replace"]
        and layer % config["moe_layer_freq"] == 0
    )


def tensor_table(config: dict) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(name, shape) of every tensor of the per-expert layout, layer by layer. `config` must be resolved."""
    c = config
    h, heads = c["hidden_size"], c["num_attention_heads"]
    dn, dr, dv = c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
    rq, rk = c["q_lora_rank"], c["kv_lora_rank"]
    yield "model.embed_tokens.weight", (c["vocab_size"], h)
    for i in range(c["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        attention = layer + "self_attn."
        yield layer + "input_layernorm.weight", (h,)
        if rq is None:
            yield attention + "q_proj.weight", (heads * (dn + dr), h)
        else:
            yield attention + "q_a_proj.weight", (rq, h)
            if c["attention_bias"]:
                yield attention + "q_a_proj.bias", (rq,)
            yield attention + "q_a_layernorm.weight", (rq,)
            yield attention + "q_b_proj.weight", (heads * (dn + dr), rq)
        yield attention + "kv_a_proj_with_mqa.weight", (rk + dr, h)
        if c["attention_bias"]:
            yield attention + "kv_a_proj_with_mqa.bias", (rk + dr,)
        yield attention + "kv_a_layernorm.weight", (rk,)
        yield attention + "kv_b_proj.weight", (heads * (dn + dv), rk)
        yield attention + "o_proj.weight", (h, heads * dv)
        if c["attention_bias"]:
            yield attention + "o_proj.bias", (h,)
        yield layer + "post_attention_layernorm.weight", (h,)
        mlp = layer + "mlp."
        if is_moe_layer(c, i):
            m = c["moe_intermediate_size"]
            yield mlp + "gate.weight", (c["n_routed_experts"], h)
            for e in range(c["n_routed_experts"]):
                yield from _swiglu_tensors(f"{mlp}experts.{e}.", h, m)
            if c["n_shared_experts"]:
                yield from _swiglu_tensors(mlp + "shared_experts.", h, m * c["n_shared_experts"])
        else:
            yield from _swiglu_tensors(mlp, h, c["intermediate_size"])
    yield "model.norm.weight", (h,)
    if not c["tie_word_embeddings"]:
        yield "lm_head.weight", (c["vocab_size"], h)


def _swiglu_tensors(prefix: str, width: int, inner: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield prefix + "gate_proj.weight", (inner, width)
    yield prefix + "up_proj.weight", (inner, width)
    yield prefix + "down_proj.weight", (width, inner)
