#!/usr/bin/env python3
"""What each weight format and --compute does to a model's results: the table of docs/numerics.md.

Quantises the checkpoint to each format, then compares log probabilities at every position of the prompts of
demo_math, demo_cloze and demo_choice with those of the checkpoint itself in fp32 (mean and largest difference,
share of positions whose most likely token stays) and runs the demo tasks.

usage: measure_formats.py FATHOM CHECKPOINT [--compute fp32,bf16,int8] [--limit N]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from reference.fathom_binary import Fathom

TASKS = ("demo_choice", "demo_cloze", "demo_math")
FORMATS = (("stored", ()), ("int8", ()), ("fp8", ()), ("int4", ()), ("int4", ("--group", "32")))


def prompts(fathom: Fathom, model: str, limit: int) -> list[dict]:
    """Token ids of the tasks' first prompts, as `fathom logprobs` takes them."""
    rows = []
    for task in TASKS:
        for row in fathom.lines("render", task, "--model", model, "--limit", str(limit)):
            rows.append({"id": len(rows), "text": row["prompt"]})
    ids = fathom.map("tokenize", rows, "--model", model)
    return [{"id": row["id"], "ids": row["ids"]} for row in ids]


def scores(fathom: Fathom, model: str, compute: str, database: Path) -> dict[str, tuple[float, float]]:
    """The headline metric of each task and its standard error."""
    fathom.run("run", *TASKS, "--model", model, "--compute", compute, "--db", str(database))
    shown = json.loads(fathom.run("show", "latest", "--db", str(database), "--json"))
    found = {}
    for metric in shown["metrics"]:
        task = metric["scope"].split(":")[-1]
        if metric["headline"] and task in TASKS:
            found.setdefault(task, (metric["value"], metric["se"]))
    return found


def differences(reference: list[dict], answers: list[dict]) -> tuple[float, float, float]:
    deltas, same, total = [], 0, 0
    for a, b in zip(reference, answers, strict=True):
        deltas += [abs(x - y) for x, y in zip(a["logprobs"][1:], b["logprobs"][1:], strict=True)]
        same += sum(x == y for x, y in zip(a["argmax"], b["argmax"], strict=True))
        total += len(a["argmax"])
    return sum(deltas) / len(deltas), max(deltas), same / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fathom", type=Path)
    parser.add_argument("checkpoint")
    parser.add_argument("--compute", default="fp32,bf16,int8", help="kinds of arithmetic to measure")
    parser.add_argument("--limit", type=int, default=40, help="prompts of each task for the log probabilities")
    args = parser.parse_args()
    fathom = Fathom(args.fathom)
    rows = prompts(fathom, args.checkpoint, args.limit)
    reference = fathom.map("logprobs", rows, "--model", args.checkpoint)
    print(f"{len(rows)} prompts, {sum(len(row['ids']) for row in rows)} positions\n")
    print("| weights | `--compute` | mean abs Δ | largest | same argmax | " + " | ".join(TASKS) + " |")
    print("| --- | --- | --- | --- | --- |" + " --- |" * len(TASKS))
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, options) in enumerate(FORMATS):
            model = args.checkpoint
            if name != "stored":
                model = str(Path(folder) / str(number))
                fathom.run("model", "quantize", args.checkpoint, model, "--format", name, *options)
            for compute in args.compute.split(","):
                if compute == "int8" and not name.startswith("int"):
                    continue
                answers = fathom.map("logprobs", rows, "--model", model, "--compute", compute)
                mean, largest, same = differences(reference, answers)
                cells = [f"{v:.4f} ± {se:.4f}" for v, se in
                         scores(fathom, model, compute, Path(folder) / f"{number}-{compute}.db").values()]
                label = name + ("" if not options else f", groups of {options[1]}")
                print(f"| {label} | {compute} | {mean:.2g} | {largest:.2g} | {100 * same:.2f} % | "
                      + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
