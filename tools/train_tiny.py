#!/usr/bin/env python3
"""Trains a tiny DeepSeek-V2 model for a few hundred steps, so that comparisons see logits far from uniform.

A numerics fixture, not a model: a real vocabulary, few parameters, minutes of CPU time. It learns from GSM8K
training rows, MMLU dev rows in lm-eval's layout and the needle essays. transformers trains and saves it, so
the folder is in the layout that transformers 5 writes (rope_parameters, F32 routers).

usage: train_tiny.py OUTPUT [--data DIR] [--steps N] [--rows N] [--length N] [--hidden N] [--seed N]
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import DeepseekV2Config, DeepseekV2ForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parent))

from make_checkpoint import PRESETS
from reference.lm_eval_local import load_tokenizer


def documents(data: Path) -> list[str]:
    """Training texts: one a GSM8K row, one an MMLU subject, one an essay."""
    texts = []
    with open(data / "gsm8k" / "train.jsonl", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            texts.append(f"Question: {row['question']}\nAnswer: {row['answer']}\n\n")
    for path in sorted((data / "mmlu" / "dev").glob("*_dev.csv")):
        subject = path.name.removesuffix("_dev.csv").replace("_", " ")
        text = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                choices = "".join(f"\n{letter}. {c}" for letter, c in zip("ABCD", row[1:5], strict=True))
                text += f"{row[0].strip()}{choices}\nAnswer: {row[5]}\n\n"
        texts += [text] * 10  # few rows, and the layout that the comparisons ask about
    texts += [p.read_text(encoding="utf-8") for p in sorted((data / "needle" / "essays").glob("*.txt"))]
    return texts


def token_stream(texts: list[str], tokenizer, seed: int) -> Iterator[int]:
    """Ids of the texts in shuffled order, BOS before and EOS after each, for ever."""
    order = random.Random(seed)
    while True:
        for text in order.sample(texts, len(texts)):
            yield from tokenizer.encode(text, add_special_tokens=True)
            yield tokenizer.eos_token_id


def build_model(hidden: int, seed: int) -> DeepseekV2ForCausalLM:
    config = {
        **PRESETS["tiny"],
        "hidden_size": hidden,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "q_lora_rank": None,
        "kv_lora_rank": 64,
        "qk_nope_head_dim": 32,
        "qk_rope_head_dim": 16,
        "v_head_dim": 32,
        "intermediate_size": 3 * hidden,
        "moe_intermediate_size": hidden,
        "n_routed_experts": 16,
        "num_experts_per_tok": 4,
        "n_group": 4,
        "topk_group": 2,
        "routed_scaling_factor": 2.0,
    }
    torch.manual_seed(seed)
    return DeepseekV2ForCausalLM(DeepseekV2Config(**config)).float()


def train(model: DeepseekV2ForCausalLM, stream: Iterator[int], steps: int, rows: int, length: int) -> None:
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=4e-3, betas=(0.9, 0.95), weight_decay=0.01, fused=True
    )
    warm_up = max(1, steps // 10)
    model.train()
    begin = time.monotonic()
    for step in range(steps):
        rate = min((step + 1) / warm_up, 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.02)
        for group in optimizer.param_groups:
            group["lr"] = 4e-3 * rate
        ids = torch.tensor([[next(stream) for _ in range(length)] for _ in range(rows)])
        loss = model(ids, labels=ids).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step:4} loss {loss.item():.3f} {time.monotonic() - begin:.0f} s", flush=True)
    model.eval()


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", type=Path, default=root / ".." / "shared" / "data")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rows", type=int, default=1, help="sequences a step")
    parser.add_argument("--length", type=int, default=256, help="tokens a sequence")
    parser.add_argument("--hidden", type=int, default=96)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    args = parser.parse_args()
    source = args.data / "tokenizer" / "deepseek-v2"
    stream = token_stream(documents(args.data), load_tokenizer(source), args.seed)
    model = build_model(args.hidden, args.seed)
    train(model, stream, args.steps, args.rows, args.length)
    model.to(torch.bfloat16 if args.dtype == "bf16" else torch.float32).save_pretrained(args.output)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(source / name, args.output / name)


if __name__ == "__main__":
    main()
