#!/usr/bin/env python3
"""Writes the questions of the demo tasks, tasks/data/demo_*. Standard library only.

Test rows are from the test side of each split, examples to be shown from the train side. The same seed writes
the same bytes.

usage: python -m tools.nano.make_demo_data OUTPUT
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
from collections.abc import Sequence
from pathlib import Path

from . import facts, functions, reading, word_problems

SEED = 41
READING_SEED = 42  # their own, so that the other files stay what they are
DEV_ROWS = 5  # examples of each subject
READINGS = 80  # questions of each subject
PROBLEMS, PROBLEM_EXAMPLES, FUNCTIONS = 240, 120, 100


def _csv(rows: list[tuple[str, Sequence[str], int]]) -> str:
    """MMLU's columns, from question, choices and place of the right one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for question, choices, gold in rows:
        writer.writerow([question, *choices, facts.LETTERS[gold]])
    return text.getvalue()


def _fact_csv(rows: list[facts.Fact], rng: random.Random) -> str:
    """Gold letters as evenly spread as the number of rows allows, in random order."""
    golds = [i % 4 for i in range(len(rows))]
    rng.shuffle(golds)
    return _csv(
        [
            (fact.question, facts.choices_for(fact, gold, rng), gold)
            for fact, gold in zip(rows, golds, strict=True)
        ]
    )


def choice_files(rng: random.Random) -> dict[str, str]:
    files = {}
    for subject in facts.all_facts():
        dev = rng.sample(facts.train_facts(subject), DEV_ROWS)
        test = rng.sample(facts.test_facts(subject), len(facts.test_facts(subject)))
        files[f"demo_choice/dev/{subject}_dev.csv"] = _fact_csv(dev, rng)
        files[f"demo_choice/test/{subject}_test.csv"] = _fact_csv(test, rng)
    return files


def reading_files(rng: random.Random) -> dict[str, str]:
    files = {}
    for subject in reading.subjects():
        sides = reading.draw(subject, DEV_ROWS, READINGS, rng)
        for split, rows in zip(("dev", "test"), sides, strict=True):
            content = _csv([(row.question, row.choices, row.gold) for row in rows])
            files[f"demo_choice/{split}/{subject}_{split}.csv"] = content
    return files


def _problem_lines(rng: random.Random, count: int, held_out: bool) -> str:
    keys: set[str] = set()
    lines = []
    while len(lines) < count:
        problem = word_problems.draw_side(rng, held_out)
        if problem.key not in keys:
            keys.add(problem.key)
            lines.append(json.dumps({"question": problem.question, "answer": problem.answer}) + "\n")
    return "".join(lines)


def _function_lines(rng: random.Random, count: int) -> str:
    prompts: set[str] = set()
    lines = []
    while len(lines) < count:
        function = functions.draw_side(rng, held_out=True)
        described = function.prompt.partition("(")[2]  # without the function's own name
        if described in prompts:
            continue
        prompts.add(described)
        row = {
            "task_id": f"demo/{len(lines)}",
            "prompt": function.prompt,
            "entry_point": function.name,
            "canonical_solution": function.body,
            "test": functions.checks_for(function),
        }
        lines.append(json.dumps(row) + "\n")
    return "".join(lines)


def demo_files() -> dict[str, str]:
    """Path below tasks/data and content of each file."""
    rng = random.Random(SEED)
    return {
        **choice_files(rng),
        **reading_files(random.Random(READING_SEED)),
        "demo_math/train.jsonl": _problem_lines(rng, PROBLEM_EXAMPLES, held_out=False),
        "demo_math/test.jsonl": _problem_lines(rng, PROBLEMS, held_out=True),
        "demo_code/test.jsonl": _function_lines(rng, FUNCTIONS),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help="tasks/data")
    args = parser.parse_args()
    for name, content in demo_files().items():
        path = args.output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        print(f"{path}: {content.count(chr(10))} lines")


if __name__ == "__main__":
    main()
