#!/usr/bin/env python3
"""Writes a seeded random-weight DeepSeek-V2 checkpoint in Hugging Face layout. Needs numpy alone.

Activations are sane at any size: unit embeddings, norms near 1, projections of unit gain, router logits
of standard deviation about 1.5 and output logits of about 2.5, so that neither routes nor choices are
near-ties by construction. Weights depend on the seed and each tensor's name only. About 100 MB of memory
at any size, so that all of V2-Lite (31 GB) can be written, at about 100 MB/s.

presets
  tiny    3 layers, hidden 64, query compression, group-limited routing     0.014 B, mostly embeddings
  small   8 layers, hidden 512, 16 experts                                  0.20 B
  lite4   the first 4 layers of V2-Lite                                     2.3 B
  lite    the geometry of V2-Lite                                           15.7 B

examples
  tools/make_checkpoint.py small /tmp/small --tokenizer ../shared/data/tokenizer/deepseek-v2
  tools/make_checkpoint.py tiny /tmp/tiny --set vocab_size=128 --set rope_scaling=null --dtype fp32
  tools/make_checkpoint.py --config config.json --weights splitmix /tmp/golden --dtype fp32
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from reference import splitmix
from reference.geometry import resolve, tensor_table
from reference.safetensors_io import TensorSpec, write_checkpoint

_DTYPES = {"bf16": ("BF16", "bfloat16"), "fp16": ("F16", "float16"), "fp32": ("F32", "float32")}
_ROUTER_LOGIT_STD = 1.5
_LOGIT_STD = 2.5

_LITE = {
    "architectures": ["DeepseekV2ForCausalLM"],
    "model_type": "deepseek_v2",
    "hidden_act": "silu",
    "scoring_func": "softmax",
    "vocab_size": 102400,
    "hidden_size": 2048,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "q_lora_rank": None,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "intermediate_size": 10944,
    "moe_intermediate_size": 1408,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "topk_method": "greedy",
    "n_group": 1,
    "topk_group": 1,
    "norm_topk_prob": False,
    "routed_scaling_factor": 1.0,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000,
    "rope_scaling": {
        "type": "yarn",
        "factor": 40,
        "original_max_position_embeddings": 4096,
        "beta_fast": 32,
        "beta_slow": 1,
        "mscale": 0.707,
        "mscale_all_dim": 0.707,
    },
    "max_position_embeddings": 163840,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "tie_word_embeddings": False,
    "bos_token_id": 100000,
    "eos_token_id": 100001,
}

PRESETS = {
    "lite": _LITE,
    "lite4": {**_LITE, "num_hidden_layers": 4},
    "small": {
        **_LITE,
        "hidden_size": 512,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "intermediate_size": 1536,
        "moe_intermediate_size": 384,
        "n_routed_experts": 16,
        "n_shared_experts": 1,
        "num_experts_per_tok": 4,
    },
    "tiny": {
        **_LITE,
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "q_lora_rank": 24,
        "kv_lora_rank": 32,
        "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 8,
        "v_head_dim": 16,
        "intermediate_size": 96,
        "moe_intermediate_size": 48,
        "n_routed_experts": 16,
        "num_experts_per_tok": 3,
        "topk_method": "group_limited_greedy",
        "n_group": 4,
        "topk_group": 2,
        "routed_scaling_factor": 4.0,
    },
}


def build_config(preset: str | None, file: Path | None, overrides: list[str], dtype: str) -> dict:
    """config.json of a preset or a file with `key=json` overrides applied."""
    config = copy.deepcopy(PRESETS[preset]) if preset else json.loads(file.read_text())
    for override in overrides:
        key, _, value = override.partition("=")
        try:
            config[key] = json.loads(value)
        except json.JSONDecodeError:
            raise SystemExit(f"--set {override}: expected KEY=JSON, as in topk_method='\"greedy\"'") from None
    config.setdefault("num_key_value_heads", config["num_attention_heads"])
    if config["num_key_value_heads"] != config["num_attention_heads"] and preset:
        config["num_key_value_heads"] = config["num_attention_heads"]
    config["torch_dtype"] = _DTYPES[dtype][1]
    for key in ("bos_token_id", "eos_token_id"):
        if config.get(key) is not None and config[key] >= config["vocab_size"]:
            config[key] = None
    return config


def normal_weights(name: str, shape: tuple[int, ...], seed: int) -> Callable[[int, int], np.ndarray]:
    """A source of row-major elements, asked for in order: the same whatever the size of the pieces."""
    draws = np.random.Generator(np.random.Philox(key=[seed, splitmix.fnv1a_64(name)]))
    if name.endswith("norm.weight"):
        return lambda begin, end: 1.0 + 0.1 * draws.standard_normal(end - begin, dtype=np.float32)
    if name.endswith(".bias"):
        return lambda begin, end: 0.1 * draws.standard_normal(end - begin, dtype=np.float32)
    gain = {"mlp.gate.weight": _ROUTER_LOGIT_STD, "lm_head.weight": _LOGIT_STD}
    scale = next((g for suffix, g in gain.items() if name.endswith(suffix)), 1.0) / math.sqrt(shape[1])
    if name == "model.embed_tokens.weight":
        scale = 1.0
    return lambda begin, end: np.float32(scale) * draws.standard_normal(end - begin, dtype=np.float32)


def specs(config: dict, dtype: str, weights: str, seed: int, router_fp32: bool) -> list[TensorSpec]:
    resolved = resolve(config)
    result = []
    for name, shape in tensor_table(resolved):
        if weights == "splitmix":
            source = lambda begin, end, name=name: splitmix.weights(name, begin, end)  # noqa: E731
        else:
            source = normal_weights(name, shape, seed)
            if resolved["tie_word_embeddings"] and name == "model.embed_tokens.weight":
                wide = source
                scale = np.float32(_LOGIT_STD / math.sqrt(shape[1]))
                source = lambda begin, end, wide=wide, scale=scale: scale * wide(begin, end)  # noqa: E731
        stored = splitmix.stored_dtype(name, dtype) if router_fp32 else dtype
        result.append(TensorSpec(name, shape, stored, source))
    return result


def copy_tokenizer(source: Path, output: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if not (source / name).is_file():
            raise SystemExit(f"--tokenizer {source}: {name} is missing")
        shutil.copyfile(source / name, output / name)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", nargs="?", choices=PRESETS, help="geometry; or give --config")
    parser.add_argument("output", type=Path, help="folder to create")
    parser.add_argument("--config", type=Path, help="config.json to follow instead of a preset")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=JSON", help="override a config key"
    )
    parser.add_argument("--dtype", choices=_DTYPES, default="bf16")
    parser.add_argument(
        "--router-fp32", action="store_true", help="store mlp.gate.weight in F32, as transformers 5 does"
    )
    parser.add_argument(
        "--weights", choices=("normal", "splitmix"), default="normal", help="splitmix: golden weights by name"
    )
    parser.add_argument("--seed", type=int, default=20240507)
    parser.add_argument(
        "--shard-gb", type=float, help="split into shards of at most this many GB (1e9 bytes)"
    )
    parser.add_argument("--tokenizer", type=Path, help="folder whose tokenizer files are copied")
    args = parser.parse_args()
    if (args.preset is None) == (args.config is None):
        parser.error("give a preset or --config FILE, one of the two")
    config = build_config(args.preset, args.config, args.set, args.dtype)
    args.output.mkdir(parents=True, exist_ok=True)
    if any(args.output.glob("*.safetensors")):
        raise SystemExit(f"{args.output}: there is a checkpoint already; remove it first")
    tensors = specs(config, _DTYPES[args.dtype][0], args.weights, args.seed, args.router_fp32)
    total = write_checkpoint(args.output, tensors, int(args.shard_gb * 1e9) if args.shard_gb else None)
    (args.output / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    generation = {k: config[k] for k in ("bos_token_id", "eos_token_id") if config.get(k) is not None}
    (args.output / "generation_config.json").write_text(
        json.dumps({"_from_model_config": True, **generation}, indent=2) + "\n"
    )
    if args.tokenizer:
        copy_tokenizer(args.tokenizer, args.output)
    print(f"{args.output}: {sum(t.elements for t in tensors):,} parameters, {total:,} bytes of tensors")


if __name__ == "__main__":
    main()
