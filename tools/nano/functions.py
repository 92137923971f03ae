"""Small Python functions with docstrings, in the layout of HumanEval, and tests for them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .row import ANSWER, PROMPT, Row
from .split import is_test

TEST_ONE_IN = 5

_NAMES = "solve compute answer work process evaluate apply handle result transform".split()
LISTS = "numbers values items nums xs data".split()
_NUMBERS = "n x number value k a".split()
_STRINGS = "text s word line name t".split()

# Words and code; {k} is a constant.
_FILTERS = {
    "all": ("numbers", ""),
    "even": ("even numbers", " if v % 2 == 0"),
    "odd": ("odd numbers", " if v % 2 == 1"),
    "above": ("numbers above {k}", " if v > {k}"),
    "below": ("numbers below {k}", " if v < {k}"),
    "even_above": ("even numbers above {k}", " if v % 2 == 0 and v > {k}"),
    "odd_below": ("odd numbers below {k}", " if v % 2 == 1 and v < {k}"),
    "positive": ("positive numbers", " if v > 0"),
}
_MAPS = {
    "same": ("", "v"),
    "plus": (", each plus {j}", "v + {j}"),
    "minus": (", each minus {j}", "v - {j}"),
    "times": (", each times {j}", "v * {j}"),
    "square": (", each squared", "v * v"),
    "times_plus": (", each times {j} plus {k}", "v * {j} + {k}"),
    "square_minus": (", each squared minus {j}", "v * v - {j}"),
}
_REDUCES = {
    "list": ("Return a list of the", "[{m} for v in {a}{f}]"),
    "sum": ("Return the sum of the", "sum({m} for v in {a}{f})"),
    "sorted": ("Return a sorted list of the", "sorted({m} for v in {a}{f})"),
    "largest": ("Return the largest of 0 and the", "max([0] + [{m} for v in {a}{f}])"),
    "count": ("Count the", "len([v for v in {a}{f}])"),
}
_SCALARS = {
    "add": ("Return {a} plus {k}.", "{a} + {k}"),
    "subtract": ("Return {a} minus {k}.", "{a} - {k}"),
    "multiply": ("Return {a} times {k}.", "{a} * {k}"),
    "remainder": ("Return the remainder of {a} divided by {k}.", "{a} % {k}"),
    "greater": ("Return True if {a} is greater than {k}.", "{a} > {k}"),
    "smaller": ("Return True if {a} is smaller than {k}.", "{a} < {k}"),
    "divisible": ("Return True if {a} is divisible by {k}.", "{a} % {k} == 0"),
    "double_add": ("Return twice {a} plus {k}.", "2 * {a} + {k}"),
}
_TEXTS = {
    "first": ("Return the first {k} letters of {a}.", "{a}[:{k}]"),
    "last": ("Return the last {k} letters of {a}.", "{a}[-{k}:]"),
    "without_first": ("Return {a} without its first {k} letters.", "{a}[{k}:]"),
    "repeat": ("Return {a} repeated {k} times.", "{a} * {k}"),
    "reverse": ("Return {a} reversed and repeated {k} times.", "{a}[::-1] * {k}"),
    "upper": ("Return the first {k} letters of {a} in upper case.", "{a}[:{k}].upper()"),
    "longer": ("Return True if {a} has more than {k} letters.", "len({a}) > {k}"),
}


@dataclass(frozen=True)
class Function:
    key: str
    kind: str  # of its argument: "list", "number" or "text"
    name: str
    prompt: str  # signature and docstring
    body: str  # "    return ...\n"

    @property
    def held_out(self) -> bool:
        return is_test(self.key, TEST_ONE_IN)


def _list_function(rng: random.Random) -> tuple[str, str, str, str]:
    """Split by the composition alone: one that is tested was never seen with any name or constant."""
    argument = rng.choice(LISTS)
    k, j = rng.randint(2, 9), rng.randint(2, 9)
    reduce, keep, change = rng.choice(list(_REDUCES)), rng.choice(list(_FILTERS)), rng.choice(list(_MAPS))
    if reduce == "count":
        change = "same"
    what, keep_code = (part.format(k=k) for part in _FILTERS[keep])
    how, change_code = (part.format(j=j, k=k) for part in _MAPS[change])
    begin, code = _REDUCES[reduce]
    words = f"{begin} {what} in {argument}{how}."
    return f"{reduce},{keep},{change}", argument, words, code.format(m=change_code, a=argument, f=keep_code)


def _simple_function(rng: random.Random, table: dict, arguments: list[str]) -> tuple[str, str, str, str]:
    argument, k, name = rng.choice(arguments), rng.randint(2, 9), rng.choice(list(table))
    words, code = (part.format(a=argument, k=k) for part in table[name])
    return f"{name}|{argument}|{k}", argument, words, code


def _from_examples(rng: random.Random) -> Function:
    """A function that only examples describe: which sign and constant is to be found out."""
    argument, name = rng.choice(_NUMBERS), rng.choice(_NAMES)
    sign = rng.choice(("+", "+", "-", "-", "*"))
    k = rng.randint(2, 9 if sign == "*" else 30)
    inputs = [rng.randint(2, 12 if sign == "*" else 60) for _ in range(2)]
    code = f"{argument} {sign} {k}"
    examples = "".join(f"    >>> {name}({x})\n    {eval(code, {argument: x})}\n" for x in inputs)
    prompt = f'def {name}({argument}):\n    """\n{examples}    """\n'
    return Function(f"examples|{sign}|{argument}|{k}", "number", name, prompt, f"    return {code}\n")


def draw(rng: random.Random) -> Function:
    kind = rng.choice(("list", "list", "number", "text", "examples", "examples"))
    if kind == "examples":
        return _from_examples(rng)
    if kind == "list":
        key, argument, words, code = _list_function(rng)
    elif kind == "number":
        key, argument, words, code = _simple_function(rng, _SCALARS, _NUMBERS)
    else:
        key, argument, words, code = _simple_function(rng, _TEXTS, _STRINGS)
    name = rng.choice(_NAMES)
    prompt = f'def {name}({argument}):\n    """{words}"""\n'
    return Function(key, kind, name, prompt, f"    return {code}\n")


def draw_side(rng: random.Random, held_out: bool) -> Function:
    while True:
        function = draw(rng)
        if function.held_out == held_out:
            return function


_CASES = {
    "list": [[], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [-3, 0, 4, 11, 6, 6], [12, 5, -8, 3, 2, 7, 9]],
    "number": [0, 1, 3, 5, 6, 7, 8, 9, 10, 12, 14, 20, 35, 63, 72, -4],
    "text": ["", "a", "table", "lantern", "windows", "umbrella", "crocodile", "Harbour Street"],
}


def checks_for(function: Function) -> str:
    """The `test` field: a check function whose expected values come from running the reference body."""
    scope: dict = {}
    exec(function.prompt + function.body, scope)  # noqa: S102 - text made above
    lines = ["def check(candidate):"]
    for case in _CASES[function.kind]:
        lines.append(f"    assert candidate({case!r}) == {scope[function.name](case)!r}")
    return "\n".join(lines) + "\n"


def function_row(rng: random.Random, size: int) -> Row:
    row = Row()
    length = 0
    while length < size:
        function = draw_side(rng, held_out=False)
        row.add(function.prompt, PROMPT).add(function.body + "\n\n", ANSWER)
        length += len(function.prompt) + len(function.body)
    return row
