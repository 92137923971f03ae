#!/usr/bin/env python3
"""Checks the demo data of tasks/data against the training text, by text alone. Standard library only.

- make_demo_data.py writes the same bytes again.
- No question of a demo task occurs in rows as training draws them, whatever names, objects and function names
  stand in them; the facts asked about do occur, as statements and open answers.
- No drill can be a question of the reading subjects: one of its words is in no drill. Those asked are on the
  test side of the split, the examples on the train side.

usage: python -m tools.nano.check_demo_data [--rows N]     exit code 1 when anything is wrong
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import re
import sys
from pathlib import Path

from . import documents, facts, functions, reading, word_problems
from .make_demo_data import demo_files

_ROOT = Path(__file__).resolve().parents[2]


def _without(words: list[str], text: str, mark: str) -> str:
    return re.sub(rf"\b({'|'.join(words)})\b", mark, text)


def general_problem(text: str) -> str:
    """A word problem without its names and objects."""
    return _without(word_problems.OBJECTS, _without(word_problems.NAMES, text, "N"), "O")


def general_function(prompt: str) -> str:
    """A described function without its name, and for one over a list without argument and constants."""
    name = re.match(r"def (\w+)", prompt).group(1)
    text = re.sub(rf"\b{name}\b", "f", prompt)
    argument = re.search(r"\((\w+)\)", text).group(1)
    if argument not in functions.LISTS:
        return text
    return re.sub(r"\d+", "k", re.sub(rf"\b{argument}\b", "x", text))


def changed_files(files: dict[str, str]) -> list[str]:
    return [
        f"tasks/data/{name}: not what make_demo_data.py writes"
        for name, content in files.items()
        if (_ROOT / "tasks" / "data" / name).read_text(encoding="utf-8") != content
    ]


def leaked_facts(files: dict[str, str], rng: random.Random, rows: int) -> list[str]:
    writers = (facts.choice_row, facts.cloze_row)
    asked = "".join(writer(rng, 2000).text() for writer in writers for _ in range(rows))
    taught = "".join(facts.lesson_row(rng, 2000).text() for _ in range(2 * rows))
    asked_lines, taught_lines = set(asked.split("\n")), set(taught.split("\n"))
    problems, known = [], 0
    for name, content in files.items():
        if "demo_choice/test" not in name:
            continue
        for question, *_ in csv.reader(io.StringIO(content)):
            known += question in taught_lines
            if {question, f"Question: {question}"} & asked_lines:
                problems.append(f"{name}: {question!r} is asked in training")
    if known == 0:
        problems.append("no fact of demo_choice was met in the lessons: the check looked at the wrong text")
    return problems


def leaked_readings(files: dict[str, str], rng: random.Random, rows: int) -> list[str]:
    text = "".join(facts.drill_row(rng, 2000).text() for _ in range(rows))
    drilled = set(re.findall(r"^[A-D]\. (.*)$", text, re.MULTILINE))
    problems, known = [], 0
    for subject in reading.subjects():
        for split in ("dev", "test"):
            name = f"demo_choice/{split}/{subject}_{split}.csv"
            for question, *choices, letter in csv.reader(io.StringIO(files[name])):
                asked = reading.Reading(question, tuple(choices), facts.LETTERS.index(letter))
                if asked.held_out != (split == "test"):
                    problems.append(f"{name}: {question!r} is on the other side of the split")
                if drilled.issuperset(choices):
                    problems.append(f"{name}: {question!r} with {choices} can be a drill")
                known += not drilled.isdisjoint(choices)
    if known == 0:
        problems.append("no reading question has a word of the drills: the check looked at the wrong text")
    return problems


def leaked_problems(files: dict[str, str], rng: random.Random, rows: int) -> list[str]:
    text = "".join(word_problems.problem_row(rng, 2000).text() for _ in range(rows))
    seen = {general_problem(line) for line in text.split("\n") if line.startswith("Question: ")}
    questions = [json.loads(line)["question"] for line in files["demo_math/test.jsonl"].splitlines()]
    return [f"demo_math: {q!r} is trained on" for q in questions if general_problem(f"Question: {q}") in seen]


def leaked_functions(files: dict[str, str], rng: random.Random, rows: int) -> list[str]:
    text = "".join(functions.function_row(rng, 2000).text() for _ in range(rows))
    prompts = re.findall(r'def \w+\(\w+\):\n    """.*?"""\n', text, re.DOTALL)
    seen = {general_function(prompt) for prompt in prompts}
    asked = [json.loads(line)["prompt"] for line in files["demo_code/test.jsonl"].splitlines()]
    return [f"demo_code: {prompt!r} is trained on" for prompt in asked if general_function(prompt) in seen]


def leaked_needle(rng: random.Random, rows: int) -> list[str]:
    source = (_ROOT / "tasks" / "prompts" / "needle.h").read_text(encoding="utf-8")
    needle = re.search(r'kDemoNeedle =\s*"\\n(.*?)\\n"', source).group(1)
    drawn = (documents.draw_needle(rng, held_out=False)[0] for _ in range(100 * rows))
    return [f"demo_needle: {needle!r} is trained on"] if needle in drawn else []


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2000, help="training rows of each family to look at")
    args = parser.parse_args()
    files, rng = demo_files(), random.Random(5)
    problems = changed_files(files) + leaked_needle(rng, args.rows)
    for check in (leaked_facts, leaked_readings, leaked_problems, leaked_functions):
        problems += check(files, rng, args.rows)
    print("\n".join(problems) or f"demo data and {args.rows} training rows of each family are disjoint")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
