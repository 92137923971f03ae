"""What a training step sees: which families, in which shares, at which lengths."""

from __future__ import annotations

import random
from collections.abc import Callable

from . import documents, facts, functions, word_problems
from .encoder import Encoder
from .row import Row

# Characters of text for each token of a row, chosen so that rows come out slightly too long and are cut.
_CHARS_A_TOKEN = 6.5

_SHORT: tuple[tuple[str, float], ...] = (
    ("choice", 0.32),
    ("cloze", 0.08),
    ("lesson", 0.18),
    ("problems", 0.18),
    ("functions", 0.12),
    ("needle", 0.06),
    ("repeat", 0.06),
)
_LONG: tuple[tuple[str, float], ...] = (
    ("needle", 0.8),
    ("choice", 0.1),
    ("problems", 0.05),
    ("functions", 0.05),
)
WRITERS: dict[str, Callable[[random.Random, int], Row]] = {
    "choice": facts.choice_row,
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
    """`length` + 1 ids, and the weight of each in the loss; padded with end tokens of weight 0."""
    if family == "repeat":
        ids, weights = documents.repeated_ids(rng, encoder.vocab, length)
        ids, weights = [encoder.bos, *ids], [0.0, *weights]
    elif family == "needle":
        ids, weights = _needle(rng, encoder, length)
    else:
        ids, weights = encoder.encode_row(WRITERS[family](rng, int(length * _CHARS_A_TOKEN)))
    ids, weights = ids[: length + 1], weights[: length + 1]
    missing = length + 1 - len(ids)
    return ids + [encoder.eos] * missing, weights + [0.0] * missing


def _draw(rng: random.Random, shares: tuple[tuple[str, float], ...]) -> str:
    return rng.choices([name for name, _ in shares], [share for _, share in shares])[0]


def step_rows(seed: int, step: int, encoder: Encoder, rows: int, warm_up: int) -> list[list[Ids]]:
    """The batches of a step, each of rows of one length. The same for the same seed and step.

    The first `warm_up` steps only repeat sequences. After that come `rows` short rows, and a quarter as many
    tokens in long ones.
    """
    rng = random.Random(f"{seed}:{step}")
    if step < warm_up:
        return [[make_row("repeat", rng, encoder, 64) for _ in range(4 * rows)]]
    length = rng.choices((256, 512, 1024), (0.2, 0.5, 0.3))[0]
    long_rows = max(1, rows * 256 // (2 * length))
    return [
        [make_row(_draw(rng, _SHORT), rng, encoder, 256) for _ in range(rows)],
        [make_row(_draw(rng, _LONG), rng, encoder, length) for _ in range(long_rows)],
    ]
