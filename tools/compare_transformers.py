#!/usr/bin/env python3
"""Compares fathom's engine with transformers in float32 and with the float64 reference on one checkpoint.

Logprobs of whole sequences by length class and attention form, routes, most likely tokens and greedy
generation. Tolerances: |delta logprob| <= 2e-4 up to 64 tokens, 5e-4 to 300, 3e-3 beyond; choices equal
unless the float64 margin is a near-tie (logits < 2e-3, router probabilities < 1e-5), at most 1 % of them
excluded. A route that flips at a near-tie changes what follows: a sequence is compared up to its first such
flip, and the rest counts as excluded. Exit code 1 when anything is out of tolerance.

usage: compare_transformers.py CHECKPOINT --fathom BINARY [--long] [--data DIR]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from reference import deepseek_v2_transformers as port
from reference.deepseek_v2_numpy import DeepseekV2, Scores
from reference.fathom_binary import Fathom
from reference.safetensors_io import Checkpoint

NEAR_TIE, NEAR_ROUTE, MAX_EXCLUDED = 2e-3, 1e-5, 0.01


def tolerance(length: int) -> float:
    return 2e-4 if length <= 64 else 5e-4 if length <= 300 else 3e-3


def length_class(length: int) -> str:
    return "<= 64" if length <= 64 else "<= 300" if length <= 300 else "longer"


@dataclass
class Tally:
    """Counts of one row of the table."""

    sequences: int = 0
    tokens: int = 0
    delta: float = 0.0
    allowed: float = 0.0
    top_delta: float = 0.0
    wrong_tokens: int = 0
    wrong_routes: int = 0
    decisions: int = 0
    excluded: int = 0
    notes: list[str] = field(default_factory=list)

    def passed(self) -> bool:
        return (
            max(self.delta, self.top_delta) <= self.allowed
            and not self.wrong_tokens
            and not self.wrong_routes
            and self.excluded <= MAX_EXCLUDED * self.decisions
        )

    def row(self, name: str) -> str:
        share = self.excluded / max(self.decisions, 1)
        verdict = "ok" if self.passed() else "FAIL"
        return (
            f"{name:44}{self.sequences:>5}{self.tokens:>8}{self.delta:>10.1e}{self.top_delta:>10.1e}"
            f"{self.allowed:>9.0e}{self.wrong_tokens:>7}{self.wrong_routes:>7}{share:>9.2%}  {verdict}"
        )


HEADER = (
    f"{'':44}{'seqs':>5}{'tokens':>8}{'max |d|':>10}{'top 20':>10}{'allowed':>9}{'tokens':>7}{'routes':>7}"
    f"{'excluded':>9}\n{'':44}{'':5}{'':8}{'':10}{'':10}{'':9}{'wrong':>7}{'wrong':>7}"
)


def scores_of_answer(answer: dict) -> Scores:
    """A line of `fathom logprobs --routes`."""
    return Scores(
        logprobs=np.array([np.nan if v is None else v for v in answer["logprobs"]]),
        argmax=np.array(answer["argmax"]),
        margins=np.empty(0),
        top=[(t["id"], t["logprob"]) for t in answer["top"]],
        routes=[np.array(r, dtype=int) for r in answer["routes"]],
        router_margins=[],
    )


def compare(tally: Tally, found: Scores, truth: Scores, judge: Scores) -> None:
    """Adds found against truth; `judge` is the float64 reference whose margins say what is a near-tie."""
    length = len(truth.logprobs)
    tally.sequences += 1
    tally.tokens += length
    tally.allowed = tolerance(length)
    end, wrong, excluded = length, [], 0
    for layer, expected in enumerate(truth.routes):
        if not expected.size:
            if found.routes[layer].size:
                raise SystemExit(f"layer {layer} is dense but has routes")
            continue
        tally.decisions += length
        same = (np.sort(found.routes[layer], axis=-1) == np.sort(expected, axis=-1)).all(axis=-1)
        near = judge.router_margins[layer] < NEAR_ROUTE
        flips = np.nonzero(~same & near)[0]
        end = min([end, *flips.tolist()])
        wrong.append(~same & ~near)
        excluded += int(near.sum())
    tally.wrong_routes += sum(int(w[:end].sum()) for w in wrong)
    near = judge.margins < NEAR_TIE
    tally.decisions += length
    tally.excluded += excluded + int(near[:end].sum()) + (length - end)
    tally.wrong_tokens += int(((found.argmax != truth.argmax) & ~near)[:end].sum())
    if end > 1:
        tally.delta = max(tally.delta, float(np.abs(found.logprobs - truth.logprobs)[1:end].max()))
    if end == length:
        expected_top = dict(truth.top)
        for (token, value), (_, ranked) in zip(found.top, truth.top, strict=True):
            tally.top_delta = max(tally.top_delta, abs(value - expected_top.get(token, ranked)))


def sequences(config: dict, ids_pool: np.ndarray, long: bool) -> list[list[int]]:
    """Token ids in three length classes; BOS in front where the model has one."""
    lengths = [1, 2, 7, 33, 64, 64, 64, 100, 257, 300] + ([4500] if long else [])
    draws = np.random.default_rng(11)
    result = []
    for length in lengths:
        begin = int(draws.integers(0, len(ids_pool) - length))
        ids = ids_pool[begin : begin + length].tolist()
        if config.get("bos_token_id") is not None:
            ids[0] = config["bos_token_id"]
        result.append(ids)
    return result


def token_pool(folder: Path, config: dict, data: Path | None) -> np.ndarray:
    """Ids to cut sequences from: GSM8K text when data is given, else uniform draws."""
    if data is None:
        return np.random.default_rng(5).integers(0, config["vocab_size"], 20000)
    from tokenizers import Tokenizer

    text = (data / "gsm8k" / "train.jsonl").read_text(encoding="utf-8")[:200000]
    return np.array(Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids)


def compare_generation(
    fathom: Fathom, folder: Path, model, reference: DeepseekV2, prompts: list[list[int]]
) -> Tally:
    """Greedy ids against teacher-forced float64 and transformers' own run, up to the first near-tie."""
    n_new = 24
    rows = [
        {"id": str(i), "ids": p, "max_tokens": n_new, "temperature": 0, "ignore_eos": True}
        for i, p in enumerate(prompts)
    ]
    answers = fathom.map("generate", rows, "--model", str(folder))
    tally = Tally(allowed=tolerance(max(map(len, prompts)) + n_new))
    scored = reference.score([p + a["ids"] for p, a in zip(prompts, answers, strict=True)])
    for prompt, answer, truth in zip(prompts, answers, scored, strict=True):
        ids = answer["ids"]
        if len(ids) != n_new or answer["finish_reason"] != "length":
            tally.notes.append(f"{len(ids)} ids, finish_reason {answer['finish_reason']}")
            tally.wrong_tokens += 1
            continue
        first = len(prompt) - 1
        margins, expected = truth.margins[first:-1], truth.argmax[first:-1]
        routes_near = np.zeros(len(truth.margins), dtype=bool)
        for layer in truth.router_margins:
            routes_near |= (layer < NEAR_ROUTE) if layer.size else False
        ties = np.nonzero((margins < NEAR_TIE) | routes_near[first:-1])[0]
        end = int(ties[0]) if ties.size else n_new
        tally.sequences += 1
        tally.tokens += n_new
        tally.decisions += n_new
        tally.excluded += len(ties)
        tally.wrong_tokens += int((np.array(ids) != expected)[:end].sum())
        deltas = np.abs(np.array(answer["logprobs"]) - truth.logprobs[len(prompt) :])
        tally.delta = max(tally.delta, float(deltas[: max(end, 1)].max()))
        tally.wrong_tokens += int(
            (np.array(port.greedy(model, prompt, n_new))[:end] != np.array(ids)[:end]).sum()
        )
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--fathom", type=Path, required=True, help="the binary")
    parser.add_argument("--long", action="store_true", help="also one sequence of 4,500 tokens")
    parser.add_argument("--data", type=Path, help="folder with gsm8k/: real text instead of random ids")
    parser.add_argument("--attention", nargs="*", default=["expanded", "absorbed", "auto"])
    parser.add_argument("--extra", nargs="*", default=[], help="further arguments of `fathom logprobs`")
    args = parser.parse_args()
    fathom = Fathom(args.fathom)
    checkpoint = Checkpoint(args.checkpoint)
    reference = DeepseekV2(checkpoint.config, checkpoint)
    batch = sequences(checkpoint.config, token_pool(args.checkpoint, checkpoint.config, args.data), args.long)
    truths = reference.score(batch)
    tallies: dict[str, Tally] = {}
    with port.original_semantics(checkpoint.config):
        model = port.load(args.checkpoint, patched=not port.port_agrees(checkpoint.config))
        ported = [port.score(model, ids) for ids in batch]
        for found, truth in zip(ported, truths, strict=True):
            name = f"transformers - float64, {length_class(len(truth.logprobs))}"
            compare(tallies.setdefault(name, Tally()), found, truth, truth)
        answers = {}
        for form in args.attention:
            rows = [{"id": str(i), "ids": ids} for i, ids in enumerate(batch)]
            options = ["--model", str(args.checkpoint), "--routes", "--attention", form, *args.extra]
            answers[form] = [scores_of_answer(a) for a in fathom.map("logprobs", rows, *options)]
            for found, truth, other in zip(answers[form], truths, ported, strict=True):
                kind = length_class(len(truth.logprobs))
                compare(tallies.setdefault(f"{form} - float64, {kind}", Tally()), found, truth, truth)
                compare(tallies.setdefault(f"{form} - transformers, {kind}", Tally()), found, other, truth)
        prompts = [ids for ids in batch if 2 <= len(ids) <= 100]
        tallies["generate (greedy)"] = compare_generation(fathom, args.checkpoint, model, reference, prompts)
    print(f"checkpoint {args.checkpoint}; fathom {fathom.run('--version').splitlines()[0]}\n{HEADER}")
    for name, tally in tallies.items():
        print(tally.row(name), *tally.notes)
    if {"expanded", "absorbed"} <= answers.keys():
        pairs = zip(answers["expanded"], answers["absorbed"], strict=True)
        delta = max(float(np.nanmax(np.abs(a.logprobs - b.logprobs), initial=0.0)) for a, b in pairs)
        print(f"expanded - absorbed: max |d| {delta:.1e}, allowed 1e-04")
        if delta > 1e-4:
            raise SystemExit(1)
    if not all(t.passed() for t in tallies.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
