#!/usr/bin/env python3
"""Asks the questions of demo_choice through lm-eval with a task file made from tasks/data, and compares.

One lm-eval task a subject, written as YAML and JSON Lines; transformers computes in float32. Compared with
`fathom run demo_choice`: each letter's logprob (3e-4) and each subject's accuracy (equal).

Exit code 1 on a difference.

usage: python -m tools.nano.compare_lm_eval CHECKPOINT --fathom BINARY [--limit N]
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT / "tools"))

from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
from reference.fathom_binary import Fathom
from reference.lm_eval_model import RecordingModel

from . import facts, reading

DATA = _ROOT / "tasks" / "data" / "demo_choice"
TOLERANCE = 3e-4
_OPTIONS = "".join(f"\n{letter}. {{{{choices[{i}]}}}}" for i, letter in enumerate(facts.LETTERS))
_TEXT = "{{question.strip()}}" + _OPTIONS + "\nAnswer:"


def write_task(folder: Path, subject: str) -> str:
    """An lm-eval task over one subject: data and YAML file (JSON is YAML). Returns the task's name."""
    files = {}
    for split in ("dev", "test"):
        files[split] = str(folder / f"{subject}_{split}.jsonl")
        with open(DATA / split / f"{subject}_{split}.csv", newline="", encoding="utf-8") as file:
            rows = [
                {"question": r[0], "choices": r[1:5], "answer": "ABCD".index(r[5])} for r in csv.reader(file)
            ]
        Path(files[split]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": f"demo_choice_{subject}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files},
        "test_split": "test",
        "fewshot_split": "dev",
        "fewshot_config": {"sampler": "first_n"},
        "num_fewshot": 1,
        "output_type": "multiple_choice",
        "description": facts.choice_header(subject.replace("_", " ")),
        "doc_to_text": _TEXT,
        "doc_to_choice": ["A", "B", "C", "D"],
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / f"demo_choice_{subject}.yaml").write_text(json.dumps(task))
    return task["task"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--fathom", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="questions of each subject; default: all")
    args = parser.parse_args()
    limit = [] if args.limit is None else ["--limit", str(args.limit)]
    fathom = Fathom(args.fathom)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = [write_task(folder, subject) for subject in (*facts.all_facts(), *reading.subjects())]
        model = RecordingModel(args.checkpoint, add_bos=True)
        theirs = simple_evaluate(
            model=model,
            tasks=names,
            task_manager=TaskManager(include_path=str(folder), include_defaults=False),
            limit=args.limit,
            log_samples=True,
            bootstrap_iters=0,
        )
        database = str(folder / "results.db")
        fathom.run("run", "demo_choice", "--model", str(args.checkpoint), "--db", database, *limit)
        ours = fathom.lines("samples", "latest", "--db", database)
    found = {(row["task"], row["doc_id"]): row for row in ours}
    widest, wrong, questions = 0.0, 0, 0
    for task in names:
        samples = theirs["samples"][task]
        for sample in samples:
            row = found.pop((task, sample["doc_id"]))
            expected = [float(answer[0][0]) for answer in sample["resps"]]
            widest = max(widest, *(abs(a - b) for a, b in zip(row["choice_logprobs"], expected, strict=True)))
            wrong += row["scores"]["acc"] != sample["acc"]
            questions += 1
        accuracy = theirs["results"][task]["acc,none"]
        print(f"{task:24} {len(samples):4} questions, lm-eval acc {accuracy:.4f}")
    print(f"{questions} questions: largest difference of a logprob {widest:.1e}, {wrong} scores differ")
    sys.exit(1 if widest > TOLERANCE or wrong or found else 0)


if __name__ == "__main__":
    main()
