#!/usr/bin/env python3
"""Runs lm-eval with transformers, and fathom, on the same checkpoint and data, and compares sample by sample.

For each task, with BOS off and on: prompts and context ids of `fathom render`; then, of `fathom run` and
`fathom samples`: choice logprobs (3e-4, 1e-3 beyond 1,024 tokens), is_greedy, generated ids, filtered
answers and per-sample scores; then every aggregate of the store against lm-eval's, value and standard error
(1e-9). Ids may part only at a near-tie: where they first differ the float64 reference must have a margin
below 2e-3 there or a router margin below 1e-5 before; what follows is excluded and counted. Exit code 1
otherwise.

usage: compare_lm_eval.py CHECKPOINT --fathom BINARY --data DIR [--tasks NAME ...] [--limit N] [--bos off on]
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sqlite3
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lm_eval import simple_evaluate
from reference import deepseek_v2_transformers as port
from reference.deepseek_v2_numpy import DeepseekV2, Scores
from reference.fathom_binary import Fathom
from reference.lm_eval_local import local_data
from reference.lm_eval_model import RecordingModel
from reference.safetensors_io import Checkpoint

NEAR_TIE, NEAR_ROUTE = 2e-3, 1e-5
UNSCORED = 6  # fathom's exit code when some samples have no score


@dataclass(frozen=True)
class Pair:
    """A fathom task, the lm-eval task it equals and how often a document is shown examples."""

    fathom: str
    lm_eval: str
    num_fewshot: int | None = None
    generates: bool = True
    code: bool = False


PAIRS = {
    p.fathom: p
    for p in (
        Pair("mmlu", "mmlu", 5, generates=False),
        Pair("mmlu_cloze", "mmlu_continuation", 5, generates=False),
        Pair("mmlu_generative", "mmlu_generative", 5),
        Pair("gsm8k", "gsm8k"),
        Pair("gsm8k_cot", "gsm8k_cot"),
        Pair("humaneval", "humaneval", code=True),
        Pair("humaneval_instruct", "humaneval_instruct", code=True),
    )
}


@dataclass
class Report:
    """What was compared and what failed, for one task and BOS rule."""

    name: str
    documents: int = 0
    longest: int = 0
    delta: float = 0.0
    delta_long: float = 0.0
    generated: int = 0
    excluded: list[str] = field(default_factory=list)
    aggregates: int = 0
    aggregate_delta: float = 0.0
    failures: list[str] = field(default_factory=list)

    def check(self, condition: bool, what: str) -> None:
        if not condition:
            self.failures.append(what)

    def line(self) -> str:
        verdict = "ok" if not self.failures else f"FAIL ({len(self.failures)})"
        return (
            f"{self.name:28}{self.documents:>6}{self.longest:>9}{self.delta:>11.1e}{self.delta_long:>11.1e}"
            f"{self.generated:>10}{len(self.excluded):>10}{self.aggregates:>7}{self.aggregate_delta:>10.1e}"
            f"  {verdict}"
        )


HEADER = (
    f"{'task, BOS':28}{'docs':>6}{'longest':>9}{'max|d|':>11}{'> 1,024':>11}{'ids':>10}{'excluded':>10}"
    f"{'aggr.':>7}{'max|d|':>10}"
)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def ids_sha256(ids: list[int]) -> str:
    return sha256(",".join(map(str, ids)))


class Judge:
    """The float64 reference, asked only where the two sides differ."""

    def __init__(self, folder: Path):
        checkpoint = Checkpoint(folder)
        self._model = DeepseekV2(checkpoint.config, checkpoint)

    def scores(self, ids: list[int]) -> Scores:
        return self._model.score([ids])[0]

    def excuses(self, context: list[int], ids: list[int], step: int) -> bool:
        """Whether two engines may part at `step` of the continuation `ids`."""
        scores = self.scores(context + ids[:step])
        routes = [float(m.min()) for m in scores.router_margins if m.size]
        return float(scores.margins[-1]) < NEAR_TIE or min(routes, default=1.0) < NEAR_ROUTE


def leaf_key(task: str, subjects: list[str]) -> str:
    """A leaf task's subject, or its name: how the two sides' names are matched."""
    found = [s for s in subjects if s in task]
    return max(found, key=len) if found else task


def run_lm_eval(model: RecordingModel, pair: Pair, limit: int, max_new_tokens: int | None) -> dict:
    return simple_evaluate(
        model=model,
        tasks=[pair.lm_eval],
        num_fewshot=pair.num_fewshot,
        limit=limit,
        bootstrap_iters=100,
        gen_kwargs={"max_gen_toks": max_new_tokens} if max_new_tokens else None,
        confirm_run_unsafe_code=pair.code,
        log_samples=True,
    )


def lm_eval_samples(result: dict, subjects: list[str]) -> dict[tuple[str, int], list[dict]]:
    """(leaf, doc_id) -> lm-eval's samples of it, one a filter."""
    samples: dict[tuple[str, int], list[dict]] = {}
    for task, rows in result["samples"].items():
        for row in rows:
            samples.setdefault((leaf_key(task, subjects), row["doc_id"]), []).append(row)
    return samples


def arguments_of(sample: dict) -> list[tuple]:
    """The (context, continuation) pairs or the (context, generation arguments) of a logged sample."""
    return (
        [tuple(a.values()) for a in sample["arguments"].values()]
        if isinstance(sample["arguments"], dict)
        else [tuple(a) for a in sample["arguments"]]
    )


def compare_prompts(
    report: Report, rows: list[dict], theirs: dict, model: RecordingModel, subjects: list[str]
) -> None:
    """`fathom render` against what lm-eval sent."""
    ours = {(leaf_key(r["task"], subjects), r["doc_id"]): r for r in rows}
    report.check(ours.keys() == theirs.keys(), f"documents differ: {len(ours)} against {len(theirs)}")
    for key in ours.keys() & theirs.keys():
        row, arguments = ours[key], arguments_of(theirs[key][0])
        context = arguments[0][0]
        if isinstance(arguments[0][1], str):
            ids = model.scored[arguments[0]][0]
            report.check(row["continuations"] == [a[1] for a in arguments], f"{key}: continuations differ")
        else:
            ids = model.context_ids(context)
        report.documents += 1
        report.longest = max(report.longest, len(ids))
        report.check(row["prompt_sha256"] == sha256(context), f"{key}: prompt differs")
        report.check(row["ids_sha256"] == ids_sha256(ids), f"{key}: ids differ")
        report.check(row["n_tokens"] == len(ids), f"{key}: {row['n_tokens']} tokens, lm-eval {len(ids)}")


def compare_choices(
    report: Report, key: tuple, ours: dict, theirs: dict, model: RecordingModel, judge: Judge
) -> bool:
    """Logprob and is_greedy of every choice. False when a score may differ because choices are near-tied."""
    found, expected = ours["choice_logprobs"], [float(r[0][0]) for r in theirs["resps"]]
    greedy = [str(r[0][1]) == "True" for r in theirs["resps"]]
    report.check(len(found) == len(expected), f"{key}: {len(found)} choices, lm-eval {len(expected)}")
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        context, continuation = model.scored[arguments_of(theirs)[i]]
        long = len(context) + len(continuation) > 1024
        allowed = 1e-3 if long else 3e-4
        if long:
            report.delta_long = max(report.delta_long, abs(a - b))
        else:
            report.delta = max(report.delta, abs(a - b))
        if abs(a - b) > allowed:
            margins = [m.min() for m in judge.scores(context + continuation).router_margins if m.size]
            near = min(margins, default=1.0) < NEAR_ROUTE
            report.check(near, f"{key}: choice {i} {a:.6f}, lm-eval {b:.6f}")
            if near:
                report.excluded.append(f"{key}: choice {i}, router near-tie")
        if ours["is_greedy"][i] != greedy[i]:
            step = len(context) - 1
            near = judge.scores(context + continuation).margins[step:-1].min() < NEAR_TIE
            report.check(near, f"{key}: is_greedy of choice {i} differs")
            report.excluded.append(f"{key}: is_greedy of choice {i}")
    ranked = sorted(expected)
    return ranked[-1] - ranked[-2] > 6e-4


def compare_generated(
    report: Report, key: tuple, ours: dict, theirs: dict, model: RecordingModel, judge: Judge
) -> bool:
    """Generated ids and text. False when they part at an excused near-tie."""
    context = model.context_ids(arguments_of(theirs)[0][0])
    found, expected = ours["ids"], model.generated[tuple(context)]
    report.generated += len(expected)
    steps = min(len(found), len(expected))
    parted = next((i for i in range(steps) if found[i] != expected[i]), None)
    if parted is None:
        report.check(len(found) == len(expected), f"{key}: {len(found)} ids, lm-eval {len(expected)}")
        text = theirs["resps"][0][0]
        report.check(ours["text"] == text, f"{key}: text {ours['text']!r}, lm-eval {text!r}")
        return True
    excused = judge.excuses(context, expected, parted)
    report.check(excused, f"{key}: ids differ at step {parted} without a near-tie")
    report.excluded.append(f"{key}: near-tie at step {parted} of {len(expected)}")
    return False


def compare_scores(report: Report, key: tuple, ours: dict, theirs: list[dict]) -> None:
    """Filtered answers and per-sample metrics."""
    for row in theirs:
        name = row["filter"]
        for metric in row["metrics"]:
            label = metric if name == "none" else f"{metric},{name}"
            label = label if label in ours["scores"] else metric
            value = ours["scores"].get(label)
            same = value is not None and math.isclose(value, float(row[metric]), abs_tol=1e-12)
            report.check(same, f"{key}: {label} is {value}, lm-eval {row[metric]}")
        answer = row["filtered_resps"][0]
        if isinstance(answer, str) and name in ours["answers"]:
            report.check(
                ours["answers"][name] == answer,
                f"{key}: {name} {ours['answers'][name]!r}, lm-eval {answer!r}",
            )
        elif isinstance(answer, str):
            report.check(False, f"{key}: no answer for filter {name}")


# lm-eval's filter names where they are not fathom's: create_test joins prompt and answer to a program, which
# in fathom is no filter.
_FILTERS = {"create_test": "none"}

# lm-eval's group names where they are not fathom's.
_GROUPS = {"stem": "stem", "other": "other", "humanities": "humanities", "social sciences": "social_sciences"}


def stored_metrics(database: Path, subjects: list[str]) -> dict[tuple[str, str, str], tuple[float, float]]:
    """(scope, metric, filter) -> (value, lm-eval's standard error) of tasks and micro-averaged groups."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    rows = connection.execute(
        "SELECT scope, name, filter, value, lmeval_se FROM metric WHERE estimator IN ('mean', 'micro')"
    )
    metrics = {}
    for scope, name, filter_name, value, se in rows:
        kind, _, full = scope.partition(":")
        metrics[leaf_key(full, subjects) if kind == "task" else full, name, filter_name] = (value, se)
    return metrics


def group_scope(pair: Pair, group: str) -> str:
    """fathom's name of lm-eval's group: "mmlu", "mmlu_stem", "mmlu_continuation::social sciences"."""
    if group == pair.lm_eval:
        return pair.fathom
    category = group.split("::")[-1].removeprefix("mmlu_").split(" (")[0].replace("_", " ")
    return f"mmlu_{_GROUPS[category]}{pair.fathom.removeprefix('mmlu')}"


def compare_aggregates(report: Report, pair: Pair, result: dict, database: Path, subjects: list[str]) -> None:
    """Every number lm-eval reports against the store's, value and standard error."""
    stored = stored_metrics(database, subjects)
    groups = result.get("groups") or {}
    for name, numbers in {**result["results"], **groups}.items():
        if name in groups:
            scope = group_scope(pair, name)
        else:
            scope = leaf_key(name, subjects)
            scope = pair.fathom if scope == pair.lm_eval else scope
        for label, value in numbers.items():
            metric, _, filter_name = label.partition(",")
            if not filter_name or metric.endswith("_stderr") or not isinstance(value, (int, float)):
                continue
            entry = stored.get((scope, metric, _FILTERS.get(filter_name, filter_name)))
            if entry is None:
                report.check(False, f"{scope}: {label} is not in the store")
                continue
            se = numbers.get(f"{metric}_stderr,{filter_name}")
            report.aggregates += 1
            report.aggregate_delta = max(report.aggregate_delta, abs(entry[0] - value))
            report.check(abs(entry[0] - value) <= 1e-9, f"{scope}: {label} is {entry[0]}, lm-eval {value}")
            if isinstance(se, (int, float)) and not math.isnan(se):
                report.aggregates += 1
                report.aggregate_delta = max(
                    report.aggregate_delta, abs((entry[1] or math.inf) - se) if se else 0.0
                )
                report.check(
                    entry[1] is not None and abs(entry[1] - se) <= 1e-9,
                    f"{scope}: stderr of {label} is {entry[1]}, lm-eval {se}",
                )


def compare_task(
    fathom: Fathom, args: argparse.Namespace, pair: Pair, bos: str, model: RecordingModel, judge: Judge
) -> Report:
    subjects = [p.name.removesuffix("_test.csv") for p in (args.data / "mmlu" / "test").glob("*_test.csv")]
    report = Report(f"{pair.fathom}, {bos}")
    new_tokens = args.max_new_tokens if pair.generates else None
    with local_data(args.data):
        result = run_lm_eval(model, pair, args.limit, new_tokens)
    theirs = lm_eval_samples(result, subjects)
    shared = [
        "--model",
        str(args.checkpoint),
        "--data",
        str(args.data),
        "--limit",
        str(args.limit),
        "--bos",
        bos,
    ]
    if pair.num_fewshot is not None:
        shared += ["--num-fewshot", str(pair.num_fewshot)]
    compare_prompts(report, fathom.lines("render", pair.fathom, *shared), theirs, model, subjects)
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "compare.db"
        length = ["--max-new-tokens", str(new_tokens)] if new_tokens else []
        fathom.run("run", pair.fathom, *shared, *length, "--db", str(database), expected_codes=(0, UNSCORED))
        samples = fathom.lines("samples", "latest", "--db", str(database))
        clean = True
        for sample in samples:
            key = (leaf_key(sample["task"], subjects), sample["doc_id"])
            compare = compare_choices if sample["choice_logprobs"] else compare_generated
            if key not in theirs:
                report.check(False, f"{key}: not among lm-eval's samples")
            elif compare(report, key, sample, theirs[key][0], model, judge):
                compare_scores(report, key, sample, theirs[key])
            else:
                clean = False
        report.check(len(samples) == len(theirs), f"{len(samples)} samples, lm-eval {len(theirs)}")
        if clean:
            compare_aggregates(report, pair, result, database, subjects)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--fathom", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", nargs="*", choices=PAIRS, default=list(PAIRS))
    parser.add_argument("--limit", type=int, default=2, help="documents of each leaf task")
    parser.add_argument(
        "--max-new-tokens", type=int, help="of generating tasks, on both sides; default: the task's"
    )
    parser.add_argument("--bos", nargs="*", choices=("off", "on"), default=["off", "on"])
    args = parser.parse_args()
    fathom, judge = Fathom(args.fathom), Judge(args.checkpoint)
    loaded = port.load(args.checkpoint, patched=False, attention="sdpa")
    reports = []
    for name in args.tasks:
        for bos in args.bos:
            model = RecordingModel(args.checkpoint, bos == "on", loaded)
            reports.append(compare_task(fathom, args, PAIRS[name], bos, model, judge))
            print(
                f"{HEADER}\n{reports[-1].line()}",
                *reports[-1].failures[:20],
                *reports[-1].excluded[:20],
                sep="\n  ",
                flush=True,
            )
    print(f"\n{args.checkpoint}; {fathom.run('--version').splitlines()[0]}\n{HEADER}")
    print("\n".join(r.line() for r in reports))
    if any(r.failures for r in reports):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
