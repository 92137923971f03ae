#!/usr/bin/env python3
"""Trains nano. One command, seeded, resumable: the state file holds weights, optimiser, step and time.

Progress runs from 0 to 1 with the larger of steps / --total-steps and minutes / --minutes; the learning
rate follows it, so that a slow machine anneals in time too. A row's content depends on seed and step alone;
weights are the same again on one machine if the steps, and not the minutes, decide.

usage: python -m tools.nano.train --tokenizer DIR --state FILE --minutes N --total-steps N [--device cuda]
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .copying_circuit import write_copying_circuit
from .curriculum import Ids, step_rows
from .encoder import Encoder
from .evaluate import scores
from .model import Geometry, Nano

BALANCE = 0.01  # weight of the routers' auxiliary loss


def learning_rate(peak: float, progress: float) -> float:
    """Flat to half of the way, then a cosine down to 2 %."""
    if progress < 0.5:
        return peak
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - 0.5) / 0.5))))


def _work(queue, first: int, stride: int, seed: int, tokenizer: Path, rows: int, warm_up: int) -> None:
    encoder = Encoder(tokenizer)
    step = first
    while True:
        queue.put([to_arrays(batch) for batch in step_rows(seed, step, encoder, rows, warm_up)])
        step += stride


def to_arrays(batch: list[Ids]) -> tuple[np.ndarray, np.ndarray]:
    """Ids [rows, length + 1] and weights [rows, length]: those of the ids to be predicted."""
    return (
        np.array([ids for ids, _ in batch], dtype=np.int64),
        np.array([weights[1:] for _, weights in batch], dtype=np.float32),
    )


def batches(
    args: argparse.Namespace, encoder: Encoder, step: int
) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
    """The batches of `step` and all later ones, made here or ahead of time by --workers processes."""
    if args.workers == 0:
        while True:
            yield [to_arrays(b) for b in step_rows(args.seed, step, encoder, args.rows, args.warm_up)]
            step += 1
    queues = [multiprocessing.Queue(4) for _ in range(args.workers)]
    for i, queue in enumerate(queues):
        work = (queue, step + i, args.workers, args.seed, args.tokenizer, args.rows, args.warm_up)
        multiprocessing.Process(target=_work, args=work, daemon=True).start()
    while True:
        for queue in queues:
            yield queue.get()


def loss_of(model: Nano, ids: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean cross-entropy; only positions with a weight get logits."""
    inputs, targets = ids[:, :-1], ids[:, 1:]
    states = model.hidden(inputs).flatten(0, 1)
    flat = weights.flatten()
    losses = F.cross_entropy(model.lm_head(states), targets.flatten(), reduction="none")
    return (losses * flat).sum() / flat.sum()


def make_optimizer(model: Nano, peak: float) -> torch.optim.AdamW:
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.02}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.98), fused=True)


def snapshot(model: Nano, path: Path) -> None:
    torch.save({"model": {k: v.bfloat16().cpu() for k, v in model.state_dict().items()}}, path)


class Log:
    """Tab-separated lines, appended; the header comes first in a new file."""

    def __init__(self, path: Path):
        self.path = path
        if not path.exists():
            path.write_text("step\tminutes\tmillion_tokens\tlr\tloss\tscores\n")

    def add(self, *cells: str) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write("\t".join(cells) + "\n")
        print("\t".join(cells), flush=True)


def train(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    torch.set_float32_matmul_precision("high")
    encoder = Encoder(args.tokenizer)
    model = Nano(Geometry(vocab=encoder.vocab))
    write_copying_circuit(model)
    model.to(args.device)
    optimizer = make_optimizer(model, args.lr)
    step, tokens, before = 0, 0, 0.0
    if args.state.exists():
        state = torch.load(args.state, map_location=args.device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, tokens, before = state["step"], state["tokens"], state["minutes"]
    log = Log(args.state.with_suffix(".tsv"))
    begin = time.monotonic()
    due = [float(x) for x in args.snapshots.split(",") if x]
    mean_loss, count = torch.zeros((), device=args.device), 0
    next_score, next_save = 0.0, time.monotonic() + 120

    def save(minutes: float) -> None:
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": step,
            "tokens": tokens,
            "minutes": minutes,
        }
        partial = args.state.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(args.state)

    for parts in batches(args, encoder, step):
        minutes = before + (time.monotonic() - begin) / 60
        progress = max(step / args.total_steps, minutes / args.minutes)
        rate = args.warm_up_lr if step < args.warm_up else learning_rate(args.lr, progress)
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50)
        while due and progress >= due[0]:
            snapshot(model, args.state.with_suffix(f".{due[0]}.pt"))
            due.pop(0)
        if step % args.log_every == 0 or progress >= 1:
            held_out = ""
            if progress >= next_score or progress >= 1:
                next_score = progress + args.score_every
                values = scores(model, encoder, args.items if progress < 1 else 4 * args.items)
                held_out = " ".join(f"{k}={v:.2f}" for k, v in values.items())
            loss = mean_loss.item() / max(count, 1)
            log.add(
                str(step), f"{minutes:.2f}", f"{tokens / 1e6:.2f}", f"{rate:.5f}", f"{loss:.4f}", held_out
            )
            mean_loss, count = torch.zeros((), device=args.device), 0
        if progress >= 1:
            break
        if time.monotonic() > next_save:
            save(minutes)
            next_save = time.monotonic() + 120
        optimizer.zero_grad(set_to_none=True)
        for ids, weights in parts:
            tokens += weights.size
            on_device = (torch.from_numpy(a).to(args.device) for a in (ids, weights))
            loss = loss_of(model, *on_device) / len(parts)
            (loss + BALANCE * model.balance_loss() / len(parts)).backward()
            mean_loss += loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, count = step + 1, count + 1
    save(minutes)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument(
        "--state", type=Path, required=True, help="resumed if it exists; its log lies beside it"
    )
    parser.add_argument("--minutes", type=float, default=75)
    parser.add_argument("--total-steps", type=int, default=6000)
    parser.add_argument("--rows", type=int, default=8, help="rows of 256 tokens a step")
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--warm-up", type=int, default=80, help="steps that only repeat random sequences")
    parser.add_argument("--warm-up-lr", type=float, default=3e-3)
    parser.add_argument(
        "--snapshots", default="0.01,0.03,0.1,0.3,1", help="progress at which snapshots are kept"
    )
    parser.add_argument("--items", type=int, default=64, help="held-out items of each family")
    parser.add_argument("--score-every", type=float, default=0.05, help="progress between two scores")
    parser.add_argument("--log-every", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare rows; 0: this one")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
