"""Arithmetic word problems with worked steps, in the layout of GSM8K."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .row import DIGITS, PROMPT, Row
from .split import is_test

TEST_ONE_IN = 5

NAMES = (
    "Anna Ben Clara David Emma Felix Gina Henry Iris Jack Kate Leo Mia Noah Olga Paul Rosa Sam Tina Victor"
).split()
OBJECTS = (
    "apples books stamps marbles shells coins cards pens plums stones keys eggs cups nuts pears beads".split()
)


@dataclass(frozen=True)
class Step:
    left: int
    operator: str
    right: int

    @property
    def value(self) -> int:
        a, b = self.left, self.right
        return {"+": a + b, "-": a - b, "*": a * b}[self.operator]

    def note(self) -> str:
        return (
            f"{self.left} {self.operator} {self.right} = "
            f"<<{self.left}{self.operator}{self.right}={self.value}>>{self.value}"
        )


@dataclass(frozen=True)
class Problem:
    key: str
    question: str
    answer: str  # worked steps, then "#### N"

    @property
    def held_out(self) -> bool:
        return is_test(self.key, TEST_ONE_IN)


# Number of numbers, question, and the steps: each an operator and the index of the number it takes, applied
# to the first number or to the step before.
_TEMPLATES = {
    "gets": (2, "{n} has {0} {o}. {n} gets {1} more. How many {o} does {n} have now?", "+1"),
    "loses": (2, "{n} has {0} {o}. {n} loses {1} of them. How many {o} does {n} have left?", "-1"),
    "together": (2, "{n} has {0} {o} and {m} has {1}. How many {o} do they have together?", "+1"),
    "boxes": (2, "There are {0} {o} in each box. How many {o} are in {1} boxes?", "*1"),
    "eats": (2, "There were {0} {o} on the table. {n} took {1}. How many {o} are still there?", "-1"),
    "gets_loses": (
        3,
        "{n} has {0} {o}. {n} gets {1} more and then loses {2}. How many {o} does {n} have now?",
        "+1-2",
    ),
    "loses_gets": (
        3,
        "{n} has {0} {o}. {n} gives {1} to {m} and buys {2} more. How many {o} does {n} have now?",
        "-1+2",
    ),
    "boxes_more": (
        3,
        "{n} has {1} boxes with {0} {o} each, and {2} more {o}. How many {o} does {n} have?",
        "*1+2",
    ),
    "boxes_less": (
        3,
        "{n} fills {1} bags with {0} {o} each. Then {m} takes {2} {o}. How many {o} are left?",
        "*1-2",
    ),
    "three": (
        3,
        "{n} found {0} {o} on Monday, {1} on Tuesday and {2} on Friday. How many {o} is that?",
        "+1+2",
    ),
    "boxes_two": (
        4,
        "{n} packs {1} bags with {0} {o} each, finds {2} and loses {3}. How many {o} does {n} have now?",
        "*1+2-3",
    ),
    "four": (
        4,
        "{n} has {0} {o}, buys {1}, loses {2} and gets {3} from {m}. How many {o} does {n} have now?",
        "+1-2+3",
    ),
}


def draw(rng: random.Random) -> Problem:
    """A problem of either side of the split; every number on the way is between 0 and 499."""
    name = rng.choice(list(_TEMPLATES))
    count, question, plan = _TEMPLATES[name]
    while True:
        times = plan[0] == "*"
        numbers = [rng.randint(2, 99) for _ in range(count)]
        if times:
            numbers[:2] = rng.randint(2, 29), rng.randint(2, 9)
        steps: list[Step] = []
        for operator, index in zip(plan[0::2], plan[1::2], strict=True):
            left = steps[-1].value if steps else numbers[0]
            steps.append(Step(left, operator, numbers[int(index)]))
        if all(0 <= step.value <= 499 for step in steps):
            break
    who, other = rng.sample(NAMES, 2)
    things = rng.choice(OBJECTS)
    text = question.format(*numbers, n=who, m=other, o=things)
    lines = [
        f"{'That is' if i == 0 else 'Then it is'} {step.note()} {things}.\n" for i, step in enumerate(steps)
    ]
    answer = "".join(lines) + f"#### {steps[-1].value}"
    return Problem(f"{name}|{','.join(map(str, numbers))}", text, answer)


def draw_side(rng: random.Random, held_out: bool) -> Problem:
    while True:
        problem = draw(rng)
        if problem.held_out == held_out:
            return problem


def problem_row(rng: random.Random, size: int) -> Row:
    row = Row()
    length = 0
    while length < size:
        problem = draw_side(rng, held_out=False)
        text = f"Question: {problem.question}\nAnswer:"
        row.add(text, PROMPT).add(f" {problem.answer}\n\n", DIGITS)
        length += len(text) + len(problem.answer)
    return row
