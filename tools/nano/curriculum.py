"""What a training step sees: which families, in which shares, at which lengths."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from . import documents, facts, functions, word_problems
from .encoder import Encoder
from .row import Row

# Characters of text for each token of a row, chosen so that rows come out slightly too long and are cut.
_CHARS_A_TOKEN = 6.5

_DRILL_STEPS = 600  # over which the share of drills among choice questions falls from all to one in ten
_CHOICE = 0.35
_SHORT: tuple[tuple[str, float], ...] = (
    ("cloze", 0.07),
    ("lesson", 0.17),
    ("problems", 0.23),
    ("functions", 0.1),
    ("needle", 0.04),
    ("repeat", 0.04),
)
_LONG: tuple[tuple[str, float], ...] = (
    ("needle", 0.6),
    ("choice", 0.15),
    ("problems", 0.15),
    ("functions", 0.1),
)
_LENGTHS = ((256, 0.3), (512, 0.6), (1024, 0.1))
WRITERS: dict[str, Callable[[random.Random, int], Row]] = {
    "choice": facts.choice_row,
    "drill": facts.drill_row,
    "cloze": facts.cloze_row,
    "lesson": facts.lesson_row,
    "problems": word_problems.problem_row,
    "functions": functions.function_row,
}

Ids = tuple[list[int], list[float]]


def _needle(rng: random.Random, encoder: Encoder, length: int) -> Ids:
    """A needle document that fits: the answer comes last and must not be cut."""
    size = int(rng.uniform(0.5, 1.0) * length * 5.5)
    while True:
        ids, weights = encoder.encode_row(documents.needle_row(rng, size))
        if len(ids) <= length + 1:
            return ids, weights
        size = int(size * 0.92)


def make_row(family: str, rng: random.Random, encoder: Encoder, length: int) -> Ids:
    """`length` + 1 ids, padded with end tokens, and the weight of each in the loss.

    The weights of a row sum to 1: what counts is its family's share of the rows, not its answers' length.
    """
    if family == "repeat":
        ids, weights = documents.repeated_ids(rng, encoder.vocab, length)
        ids, weights = [encoder.bos, *ids], [0.0, *weights]
    elif family == "needle":
        ids, weights = _needle(rng, encoder, length)
    else:
        ids, weights = encoder.encode_row(WRITERS[family](rng, int(length * _CHARS_A_TOKEN)))
    ids, weights = ids[: length + 1], weights[: length + 1]
    missing, total = length + 1 - len(ids), sum(weights)
    return ids + [encoder.eos] * missing, [w / total for w in weights] + [0.0] * missing


def _draw(rng: random.Random, shares: Sequence[tuple[Any, float]]) -> Any:
    return rng.choices([thing for thing, _ in shares], [share for _, share in shares])[0]


def step_rows(seed: int, step: int, encoder: Encoder, rows: int, warm_up: int) -> list[list[Ids]]:
    """The batches of a step, each of rows of one length. The same for the same seed and step.

    The first `warm_up` steps only repeat sequences. After that come `rows` short rows, and a quarter as many
    tokens in long ones.
    """
    rng = random.Random(f"{seed}:{step}")
    if step < warm_up:
        return [[make_row("repeat", rng, encoder, 64) for _ in range(4 * rows)]]
    length = _draw(rng, _LENGTHS)
    drill = _CHOICE * max(0.1, 1 - step / _DRILL_STEPS)
    short = (*_SHORT, ("drill", drill), ("choice", _CHOICE - drill))
    long_rows = max(1, rows * 256 // (2 * length))
    return [
        [make_row(_draw(rng, short), rng, encoder, 256) for _ in range(rows)],
        [make_row(_draw(rng, _LONG), rng, encoder, length) for _ in range(long_rows)],
    ]
