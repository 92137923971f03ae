#!/usr/bin/env python3
"""Writes tests/golden/engine/*.json: expected scores of the tiny configurations of engine_cases.py.

Values are those of the float64 reference. Before anything is written, the reference reproduces the published
values of config A to D (self_check) and transformers in float32 must agree with it on every case, with and
without a cached prefix.

usage: engine_goldens.py [--output DIR] [--only NAME ...] [--check]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from goldens.engine_cases import Case, cases
from goldens.engine_self_check import self_check
from reference import splitmix
from reference.deepseek_v2_numpy import DeepseekV2, Scores
from reference.geometry import resolve, tensor_table
from reference.golden_checkpoint import write_golden_checkpoint

DEFAULT_OUTPUT = Path(__file__).resolve().parents[2] / "tests" / "golden" / "engine"
NEAR_TIE = 2e-3  # float64 logit gap below which two implementations may pick different tokens
NEAR_ROUTE = 1e-5  # the same for router probabilities


def tolerance(length: int) -> float:
    return 2e-4 if length <= 64 else 5e-4 if length <= 300 else 3e-3


def reference_scores(case: Case) -> Scores:
    shapes = dict(tensor_table(resolve(case.config)))
    return DeepseekV2(case.config, splitmix.SplitmixWeights(shapes, case.dtype)).score([case.ids()])[0]


def transformers_delta(case: Case, truth: Scores) -> float:
    """Largest |delta logprob| of transformers against the reference; its routes and tokens must agree too."""
    from reference import deepseek_v2_transformers as port

    worst = 0.0
    with tempfile.TemporaryDirectory() as folder, port.original_semantics(case.config):
        write_golden_checkpoint(case.config, Path(folder), case.dtype)
        model = port.load(Path(folder), patched=True)
        for prefix in [0, *case.splits]:
            found = port.score(model, case.ids(), prefix)
            if len(truth.logprobs) > 1:
                worst = max(worst, float(np.nanmax(np.abs(found.logprobs - truth.logprobs))))
            worst = max(worst, *(abs(a[1] - b[1]) for a, b in zip(found.top, truth.top, strict=True)))
            _require_equal_choices(case, truth, found)
    if any((margins[kept_positions(case)] < NEAR_ROUTE).any() for margins in truth.router_margins if margins.size):
        raise SystemExit(f"{case.name}: a router near-tie, after which nothing is compared; try another draw")
    if worst > tolerance(case.length):
        raise SystemExit(
            f"{case.name}: transformers differs by {worst:.2e}, allowed {tolerance(case.length):.0e}"
        )
    if port.port_agrees(case.config):
        with tempfile.TemporaryDirectory() as folder:
            write_golden_checkpoint(case.config, Path(folder), case.dtype)
            plain = port.score(port.load(Path(folder), patched=False), case.ids())
            if np.nanmax(np.abs(plain.logprobs - truth.logprobs), initial=0.0) > tolerance(case.length):
                raise SystemExit(f"{case.name}: unpatched transformers differs")
    return worst


def _require_equal_choices(case: Case, truth: Scores, found: Scores) -> None:
    clear = truth.margins >= NEAR_TIE
    if not np.array_equal(found.argmax[clear], truth.argmax[clear]):
        raise SystemExit(f"{case.name}: transformers picks other tokens at a clear margin")
    for layer, (a, b) in enumerate(zip(found.routes, truth.routes, strict=True)):
        if not b.size:
            continue
        clear = truth.router_margins[layer] >= NEAR_ROUTE
        if not np.array_equal(np.sort(a, axis=-1)[clear], np.sort(b, axis=-1)[clear]):
            raise SystemExit(f"{case.name}: transformers routes layer {layer} differently at a clear margin")


def kept_positions(case: Case) -> np.ndarray:
    """Those that the golden holds. In thousands of tokens a near-tie between them cannot be avoided."""
    return np.asarray(case.positions if case.positions is not None else range(case.length))


def _rounded(values: np.ndarray) -> list:
    return [None if not np.isfinite(v) else float(f"{v:.7g}") for v in values.tolist()]


def as_json(case: Case, truth: Scores, delta: float) -> dict:
    kept = kept_positions(case)
    golden = {
        "name": case.name,
        "covers": case.covers,
        "dtype": case.dtype,
        "config": case.config,
        "ids": case.ids(),
        "splits": case.splits,
        "tolerance": tolerance(case.length),
        "transformers_max_abs_delta": float(f"{delta:.2g}"),
        "sum_logprob": float(f"{np.nansum(truth.logprobs):.10g}"),
        "logprobs": _rounded(truth.logprobs[kept]),
        "argmax": truth.argmax[kept].tolist(),
        "margins": _rounded(truth.margins[kept]),
        "top": [{"id": i, "logprob": float(f"{p:.7g}")} for i, p in truth.top],
        "routes": [r[kept].tolist() if r.size else [] for r in truth.routes],
        "router_margins": [
            [float(f"{v:.2g}") if np.isfinite(v) else None for v in m[kept].tolist()] if m.size else []
            for m in truth.router_margins
        ],
    }
    if case.positions is not None:
        golden["positions"] = kept.tolist()
    return golden


def dump(golden: dict) -> str:
    """JSON with one key a line: small and still readable in a diff."""
    lines = [f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in golden.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    parser.add_argument("--only", nargs="*", default=None)
    parser.add_argument(
        "--check", action="store_true", help="compare with the files that are there; write nothing"
    )
    args = parser.parse_args()
    self_check()
    print(f"{'case':22}{'tokens':>7}{'|transformers - float64|':>26}{'near ties':>11}")
    stale = []
    for case in cases():
        if args.only is not None and case.name not in args.only:
            continue
        truth = reference_scores(case)
        delta = transformers_delta(case, truth)
        near = int((truth.margins < NEAR_TIE).sum()) + sum(
            int((m < NEAR_ROUTE).sum()) for m in truth.router_margins
        )
        print(f"{case.name:22}{case.length:>7}{delta:>26.1e}{near:>11}")
        text = dump(as_json(case, truth, delta))
        path = args.output / f"{case.name}.json"
        if not args.check:
            path.write_text(text)
        elif not path.exists() or not same_golden(json.loads(path.read_text()), json.loads(text)):
            stale.append(case.name)
    if stale:
        raise SystemExit(f"stale goldens: {', '.join(stale)}")


def same_golden(a: dict, b: dict) -> bool:
    """Equal but for what float32 libraries may change (the measured delta) and the last printed digit."""
    exact = {"name", "config", "dtype", "ids", "splits", "positions", "argmax", "routes"}
    if any(a.get(k) != b.get(k) for k in exact):
        return False
    pairs = zip(a["logprobs"] + a["margins"], b["logprobs"] + b["margins"], strict=True)
    return all(x == y or abs(x - y) <= 1e-6 * max(1.0, abs(x)) for x, y in pairs)


if __name__ == "__main__":
    main()
