"""Choice questions that say their answer, for the demo: no fact is needed, only the letter of a word.

They are the drill of facts.py, with combinations that no drill can draw: one of the four words is in no fact,
and one question in four asks for that word. Which combinations are examples and which are asked is decided by
the split, as everywhere.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

from . import facts
from .split import is_test

TEST_ONE_IN = 3


@dataclass(frozen=True)
class Reading:
    question: str
    choices: tuple[str, ...]
    gold: int

    @property
    def key(self) -> str:
        """The word asked for and its company, in whatever order."""
        return f"reading|{self.choices[self.gold]}|{' '.join(sorted(self.choices))}"

    @property
    def held_out(self) -> bool:
        return is_test(self.key, TEST_ONE_IN)


# Of each subject: whose facts' words are taken, and words that no fact has.
_SUBJECTS: dict[str, tuple[tuple[str, ...], str]] = {
    "reading_nature": (
        ("zoology", "botany"),
        "pebble glacier thunder rainbow volcano island waterfall canyon forest blossom feather mushroom "
        "lagoon breeze puddle cavern willow sparrow beaver squirrel spider penguin cactus comet",
    ),
    "reading_tools": (
        ("astronomy", "music"),
        "hammer chisel screwdriver pliers wrench shovel ladder bucket wheelbarrow sander rake trowel mallet "
        "clamp pulley crowbar spanner hacksaw tweezers scissors needle compass ruler stapler",
    ),
    "reading_household": (
        ("trades", "geography", "history"),
        "pillow curtain kettle teapot blanket cupboard saucer candle broom sponge wardrobe cushion carpet "
        "drawer doorbell fridge armchair napkin toaster bathtub shelf mattress ladle clock",
    ),
}


def subjects() -> list[str]:
    return list(_SUBJECTS)


@cache
def _known_words() -> dict[str, list[str]]:
    """The words of each subject that drills are drawn from. A word is in one subject only."""
    taken: set[str] = set()
    pools = {}
    for subject, (sources, _) in _SUBJECTS.items():
        rows = [fact for source in sources for fact in facts.all_facts()[source]]
        words = {word for fact in rows for word in (*fact.entity.split(), fact.value)} - taken
        taken |= words
        pools[subject] = sorted(words)
    return pools


def _draw(subject: str, word: str, gold: int, held_out: bool, rng: random.Random) -> Reading:
    """A question for `word` at place `gold`, on the side of the split that is wanted."""
    known, new = _known_words()[subject], _SUBJECTS[subject][1].split()
    while True:
        others = [rng.choice(new)] if word in known else []
        others += rng.sample([w for w in known if w != word], 3 - len(others))
        rng.shuffle(others)
        reading = Reading(f"Which of these is {word}?", (*others[:gold], word, *others[gold:]), gold)
        if reading.held_out == held_out:
            return reading


def draw(subject: str, examples: int, asked: int, rng: random.Random) -> tuple[list[Reading], list[Reading]]:
    """Examples from the train side and questions from the test side.

    Each word is asked for once, and one in four is new. Gold letters are as evenly spread as can be.
    """
    total = examples + asked
    words = rng.sample(_SUBJECTS[subject][1].split(), total // 4)
    words += rng.sample(_known_words()[subject], total - len(words))
    rng.shuffle(words)
    golds = [i % 4 for i in range(asked)]
    rng.shuffle(golds)
    shown = [_draw(subject, word, rng.randrange(4), False, rng) for word in words[:examples]]
    return shown, [_draw(subject, w, g, True, rng) for w, g in zip(words[examples:], golds, strict=True)]
