#!/usr/bin/env python3
"""Times transformers where `fathom bench prefill decode` times fathom: the same checkpoint and sizes.

Prefill: one pass over random ids, the last position's logits. Decode: greedy tokens of sequences side by side,
behind a prompt of 32 tokens for one and of 512 for more (fathom's share theirs, these do not), from the
first new token on. Each is done once unmeasured, then --repeats times; medians.

usage: time_transformers.py CHECKPOINT [--device cuda] [--dtype bfloat16] [--prefill N,...] [--decode N,...]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from transformers import DeepseekV2ForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parent))

from reference.deepseek_v2_transformers import CACHE_ARGUMENT

NEW_TOKENS = 64


def seconds_of(work: Callable[[], None], repeats: int, device: str) -> list[float]:
    taken = []
    for _ in range(repeats + 1):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return taken[1:]


@torch.no_grad()
def decode_seconds(model: DeepseekV2ForCausalLM, ids: torch.Tensor, device: str) -> float:
    out = model(ids, use_cache=True, logits_to_keep=1)
    cache, step = out.past_key_values, out.logits[:, -1:].argmax(-1)
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(NEW_TOKENS - 1):
        out = model(step, **{CACHE_ARGUMENT: cache}, use_cache=True, logits_to_keep=1)
        step = out.logits[:, -1:].argmax(-1)
    step.cpu()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16"])
    parser.add_argument("--prefill", default="2048", help="tokens of a prompt")
    parser.add_argument("--decode", default="1,64", help="sequences side by side")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    model = DeepseekV2ForCausalLM.from_pretrained(args.checkpoint, dtype=getattr(torch, args.dtype))
    model = model.eval().to(args.device)
    draws = torch.Generator().manual_seed(1)

    def random_ids(rows: int, length: int) -> torch.Tensor:
        return torch.randint(0, model.config.vocab_size, (rows, length), generator=draws).to(args.device)

    print(f"transformers {transformers.__version__}, torch {torch.__version__}, {args.dtype} on {args.device}")
    for n in map(int, args.prefill.split(",")):
        ids = random_ids(1, n)
        with torch.no_grad():
            taken = seconds_of(
                lambda ids=ids: model(ids, use_cache=False, logits_to_keep=1), args.repeats, args.device
            )
        print(f"prefill/{n}: {n / statistics.median(taken):.1f} tok/s")
    for n in map(int, args.decode.split(",")):
        ids = random_ids(n, 32 if n == 1 else 512)
        taken = [decode_seconds(model, ids, args.device) for _ in range(args.repeats + 1)][1:]
        print(f"decode/{n}: {n * (NEW_TOKENS - 1) / statistics.median(taken):.1f} tok/s")


if __name__ == "__main__":
    main()
