#!/usr/bin/env python3
"""Writes a state of train.py as a Hugging Face folder: config.json, bf16 safetensors, tokenizer files.

usage: python -m tools.nano.export STATE OUTPUT --tokenizer DIR
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .encoder import Encoder
from .model import Geometry

MAX_POSITION = 16384


def config_json(g: Geometry, bos: int, eos: int) -> dict:
    return {
        "architectures": ["DeepseekV2ForCausalLM"],
        "model_type": "deepseek_v2",
        "hidden_act": "silu",
        "scoring_func": "softmax",
        "vocab_size": g.vocab,
        "hidden_size": g.hidden,
        "num_hidden_layers": g.layers,
        "num_attention_heads": g.heads,
        "num_key_value_heads": g.heads,
        "q_lora_rank": g.query_rank,
        "kv_lora_rank": g.latent_rank,
        "qk_nope_head_dim": g.nope,
        "qk_rope_head_dim": g.rope,
        "v_head_dim": g.value,
        "intermediate_size": g.dense,
        "moe_intermediate_size": g.expert,
        "n_routed_experts": g.experts,
        "n_shared_experts": 1,
        "num_experts_per_tok": g.chosen,
        "first_k_dense_replace": 1,
        "moe_layer_freq": 1,
        "topk_method": "group_limited_greedy",
        "n_group": g.groups,
        "topk_group": g.chosen_groups,
        "norm_topk_prob": False,
        "routed_scaling_factor": 1.0,
        "rms_norm_eps": g.eps,
        "rope_theta": g.theta,
        "rope_scaling": {
            "type": "yarn",
            "factor": g.yarn_factor,
            "original_max_position_embeddings": g.yarn_original,
            "beta_fast": g.beta_fast,
            "beta_slow": g.beta_slow,
            "mscale": g.mscale,
            "mscale_all_dim": g.mscale,
        },
        "max_position_embeddings": MAX_POSITION,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": False,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "torch_dtype": "bfloat16",
    }


def tensors(model: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state's tensors under their Hugging Face names, the stacked experts taken apart."""
    result = {}
    for name, value in model.items():
        value = value.bfloat16()
        head, stacked, kind = name.partition(".mlp.experts.")
        if not stacked:
            result[name] = value.contiguous()
            continue
        for i, expert in enumerate(value):
            result[f"{head}{stacked}{i}.{kind}.weight"] = expert.contiguous()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("state", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True)
    args = parser.parse_args()
    encoder = Encoder(args.tokenizer)
    state = torch.load(args.state, map_location="cpu", weights_only=True)
    args.output.mkdir(parents=True, exist_ok=True)
    save_file(tensors(state["model"]), args.output / "model.safetensors", metadata={"format": "pt"})
    config = config_json(Geometry(vocab=encoder.vocab), encoder.bos, encoder.eos)
    (args.output / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (args.tokenizer / name).resolve() != (args.output / name).resolve():
            shutil.copyfile(args.tokenizer / name, args.output / name)
    print(f"{args.output}: {sum(v.numel() for v in tensors(state['model']).values()):,} parameters")


if __name__ == "__main__":
    main()
