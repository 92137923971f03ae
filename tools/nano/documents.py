"""Needle documents in the frame of tasks/needle.cc, and sequences to copy.

The filler sentences follow the grammar of tasks/filler.cc, whose word lists are read from that file; the
order of words is drawn here, so that training documents are not the task's haystack.
"""

from __future__ import annotations

import random
import re
from functools import cache
from pathlib import Path

from .row import ANSWER, NOISE, PROMPT, Row
from .split import is_test

_ROOT = Path(__file__).resolve().parents[2]
TEST_ONE_IN = 5

SYSTEM = "You are a helpful AI bot that answers questions for a user. Keep your response short and direct\n\n"
INSTRUCTION = " Don't give information outside the document or repeat your findings"
CUE = "\n\nHere is the most relevant sentence in the context:"

# The needle of demo_needle (tasks/prompts/needle.h) is made of words from these lists, on the test side.
TOWNS = "Ellery Varn Dorin Maska Tolm Brisk Corvo Hadley Lund Orsa Pell Rivan Selm Wend".split()
DOINGS = (
    "paint the boats,count the gulls,climb the tower,buy fresh bread,feed the geese,visit the mill,"
    "watch the tide,ring the bell,pick ripe plums,cross the bridge,hear the choir,fly a kite,"
    "row to the island,taste the honey,sketch the harbour,walk the walls"
).split(",")
WEATHERS = "sunny windy rainy foggy frosty quiet cloudy warm cold misty".split()
OWNERS = "mason baker sailor tailor farmer miller fisher weaver printer painter teacher doctor".split()
THINGS = "gate locker cabin garden barn boat cellar office".split()


@cache
def _filler_words() -> dict[str, list[str]]:
    source = (_ROOT / "tasks" / "filler.cc").read_text(encoding="utf-8")
    lists = re.findall(r"string_view k(\w+)\[\] = \{(.*?)\};", source, re.DOTALL)
    return {name: re.findall(r'"([^"]*)"', body) for name, body in lists}


def filler_sentence(rng: random.Random) -> str:
    words = _filler_words()
    who, other = rng.choice(words["People"]), rng.choice(words["People"])
    action, where = rng.choice(words["Actions"]), rng.choice(words["Places"])
    when, why = rng.choice(words["Times"]), rng.choice(words["Reasons"])
    thing = f"{rng.choice(words['Adjectives'])} {rng.choice(words['Things'])}"
    many, few = rng.randrange(20, 90), rng.randrange(2, 19)
    text = rng.choice(
        (
            f"{who} {action} the {thing} near {where} {when}",
            f"near {where} {who} {action} the {thing} because {why}",
            f"{when} {who} and {other} {action} the {thing} together",
            f"the {thing} stood behind {where} for {many} days, since {why}",
            rng.choice(words["Remarks"]),
            f"{who} used to say that {rng.choice(words['Opinions'])}",
            f"although {why}, {who} {action} the {thing} that {other} had left at {where}",
            f"of the {many} houses beyond {where}, only {few} could be seen {when}",
            f"nobody knew who had {action} the {thing} but {other} spoke of it {when}",
        )
    )
    return text[0].upper() + text[1:] + "."


def _thing_to_do(rng: random.Random) -> tuple[str, str, str]:
    town = rng.choice(TOWNS)
    first, second = rng.sample(DOINGS, 2)
    weather = rng.choice(WEATHERS)
    needle = f"The best thing to do in {town} is to {first} and {second} on a {weather} day."
    return f"{town}|{first}|{second}|{weather}", needle, f"What is the best thing to do in {town}?"


def _number_of(rng: random.Random) -> tuple[str, str, str]:
    what = f"the {rng.choice(OWNERS)}'s {rng.choice(THINGS)}"
    number = rng.randrange(1000, 10000)
    return f"{what}|{number}", f"The number of {what} is {number}.", f"What is the number of {what}?"


def draw_needle(rng: random.Random, held_out: bool) -> tuple[str, str]:
    """A needle and the question about it. Held out is the whole sentence, by its parts."""
    while True:
        key, needle, question = rng.choice((_thing_to_do, _number_of))(rng)
        if is_test(key, TEST_ONE_IN) == held_out:
            return needle, question


def needle_row(rng: random.Random, size: int, held_out: bool = False, distractors: float = 0.3) -> Row:
    """A document of at most about `size` characters with one needle asked for, and perhaps others."""
    needle, question = draw_needle(rng, held_out)
    needles = [needle]
    if rng.random() < distractors:
        other, other_question = draw_needle(rng, held_out=False)
        if other_question != question:
            needles.append(other)
    after = f"\n\n{question}{INSTRUCTION}{CUE}"
    room = size - len(SYSTEM) - len(after) - len(needle) - sum(len(n) + 2 for n in needles)
    sentences: list[str] = []
    left_in_paragraph = rng.randrange(4, 10)
    while True:
        left_in_paragraph -= 1
        space = "" if not sentences else " "
        if left_in_paragraph == 0:
            space, left_in_paragraph = "\n\n", rng.randrange(4, 10)
        text = space + filler_sentence(rng)
        room -= len(text)
        if room < 0:
            break
        sentences.append(text)
    places = sorted((rng.randrange(len(sentences) + 1), i) for i in range(len(needles)))
    row = Row().add(SYSTEM, NOISE)
    done = 0
    for place, i in places:
        row.add("".join(sentences[done:place]), NOISE).add(f"\n{needles[i]}\n", NOISE)
        done = place
    row.add("".join(sentences[done:]), NOISE)
    row.add(after, PROMPT).add(f" {needle}", ANSWER)
    row.ends = True
    return row


def repeated_ids(rng: random.Random, vocab: int, length: int) -> tuple[list[int], list[float]]:
    """A random sequence of 4 to 32 ids, repeated; the loss counts from the second time on."""
    period = [rng.randrange(vocab) for _ in range(rng.randint(4, 32))]
    ids = (period * (length // len(period) + 1))[:length]
    return ids, [0.0] * len(period) + [1.0] * (length - len(period))
