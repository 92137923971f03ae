#!/usr/bin/env python3
"""Quick scores on held-out items while training; the scores that count come from `fathom run`.

An answer is right when every token of it is the likeliest one given those before, which for greedy decoding
is the same as generating it. A choice question is right when its letter beats the three others.

usage: python -m tools.nano.evaluate STATE --tokenizer DIR [--items N]
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from pathlib import Path

import torch

from . import documents, facts, functions, word_problems
from .encoder import Encoder
from .model import Geometry, Nano
from .row import ANSWER, PROMPT, Row

SHOTS = 1


def choice_item(rng: random.Random) -> Row:
    subject = rng.choice(list(facts.all_facts()))
    row = Row().add(facts.choice_header(subject), PROMPT)
    shown = rng.sample(facts.train_facts(subject), SHOTS)
    for fact in (*shown, rng.choice(facts.test_facts(subject))):
        gold = rng.randrange(4)
        row.add(facts.choice_text(fact.question, facts.choices_for(fact, gold, rng)), PROMPT)
        row.add(f" {facts.LETTERS[gold]}", ANSWER).add("\n\n", PROMPT)
    row.segments.pop()
    return row


def drill_item(rng: random.Random) -> Row:
    row = facts.drill_row(rng, 1)
    row.segments.pop()
    row.segments[-1] = (row.segments[-1][0], ANSWER)
    return row


def cloze_item(rng: random.Random) -> Row:
    subject = rng.choice(list(facts.all_facts()))
    row = Row().add(facts.cloze_header(subject), PROMPT)
    for fact in (*rng.sample(facts.train_facts(subject), SHOTS), rng.choice(facts.test_facts(subject))):
        row.add(f"Question: {fact.question}\nAnswer:", PROMPT).add(f" {fact.value}", ANSWER).add(
            "\n\n", PROMPT
        )
    row.segments.pop()
    return row


def problem_item(rng: random.Random) -> Row:
    row = Row()
    for held_out in [False] * SHOTS + [True]:
        problem = word_problems.draw_side(rng, held_out)
        row.add(f"Question: {problem.question}\nAnswer:", PROMPT).add(f" {problem.answer}", ANSWER)
        row.add("\n\n", PROMPT)
    return row


def function_item(rng: random.Random) -> Row:
    function = functions.draw_side(rng, held_out=True)
    return Row().add(function.prompt, PROMPT).add(function.body, ANSWER)


def needle_item(characters: int) -> Callable[[random.Random], Row]:
    return lambda rng: documents.needle_row(rng, characters, held_out=True, distractors=0.0)


FAMILIES: dict[str, Callable[[random.Random], Row]] = {
    "drill": drill_item,
    "choice": choice_item,
    "cloze": cloze_item,
    "math": problem_item,
    "code": function_item,
    "needle250": needle_item(1200),
    "needle500": needle_item(2500),
    "needle1000": needle_item(5200),
}


@torch.no_grad()
def score(model: Nano, encoder: Encoder, family: str, items: int, seed: int = 99) -> float:
    """Share of right answers among `items` held-out items, always the same ones for the same seed."""
    rng = random.Random(f"{seed}:{family}")
    device = model.lm_head.weight.device
    letters = [encoder.encode(f" {letter}")[0] for letter in facts.LETTERS]
    right, group = 0, 32 if family.startswith("needle") else 64
    for begin in range(0, items, group):
        encoded = []
        for _ in range(min(group, items - begin)):
            row = FAMILIES[family](rng)
            last = max(i for i, (_, weight) in enumerate(row.segments) if weight == ANSWER)
            row.segments = [(text, float(i == last)) for i, (text, _) in enumerate(row.segments[: last + 1])]
            encoded.append(encoder.encode_row(row))
        length = max(len(ids) for ids, _ in encoded)
        ids = torch.tensor([i + [encoder.eos] * (length - len(i)) for i, _ in encoded], device=device)
        asked = torch.tensor([w + [0.0] * (length - len(w)) for _, w in encoded], device=device)[:, 1:] > 0
        if family.startswith("needle"):
            asked &= ids[:, 1:] != encoder.eos
        logits = model(ids[:, :-1])
        if family in ("choice", "drill"):
            only = torch.full_like(logits, -1e9)
            only[..., letters] = logits[..., letters]
            logits = only
        same = (logits.argmax(-1) == ids[:, 1:]) | ~asked
        right += int(same.all(1).sum())
    return right / items


def scores(model: Nano, encoder: Encoder, items: int) -> dict[str, float]:
    model.eval()
    result = {family: score(model, encoder, family, items) for family in FAMILIES}
    model.train()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("state", type=Path, help="state file of train.py")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--items", type=int, default=256)
    args = parser.parse_args()
    encoder = Encoder(args.tokenizer)
    model = Nano(Geometry(vocab=encoder.vocab))
    model.load_state_dict(torch.load(args.state, map_location="cpu", weights_only=True)["model"])
    for family, value in scores(model, encoder, args.items).items():
        print(f"{family:11} {value:.3f}")


if __name__ == "__main__":
    main()
