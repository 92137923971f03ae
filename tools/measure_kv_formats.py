"""What the formats of the latent cache (--kv) change: log probabilities and the demo tasks' scores.

usage: python tools/measure_kv_formats.py FATHOM MODEL

Scores the prompts of demo_cloze and demo_needle (those that fit --max-tokens) as whole texts with every format,
compares each token's log probability with fp32's, then runs demo_needle, demo_cloze and demo_math. Prints the
table of docs/numerics.md.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

FORMATS = ("fp32", "bf16", "fp8", "int8", "int6")
# Bytes of a token and layer in DeepSeek-V2 (kernels/latent_format.h: 512 latents, 64 key elements).
ROW_BYTES = {"fp32": 2304, "bf16": 1152, "fp8": 596, "int8": 596, "int6": 468}
TASKS = ("demo_needle", "demo_cloze", "demo_math")
PROMPTS_OF_A_TASK = 40


def run(*command, text=None):
    return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout


def prompts(fathom, model):
    """Token ids of demo prompts, as `fathom logprobs` reads them."""
    lines = []
    for task in ("demo_cloze", "demo_needle"):
        rendered = run(fathom, "render", task, "--model", model).splitlines()
        for row in map(json.loads, rendered[:: max(1, len(rendered) // PROMPTS_OF_A_TASK)]):
            lines.append(json.dumps({"id": len(lines), "text": row["prompt"]}))
    ids = run(fathom, "tokenize", "--model", model, "--input", "-", "--output", "-", text="\n".join(lines) + "\n")
    return "\n".join(line for line in ids.splitlines() if len(json.loads(line)["ids"]) <= 2048) + "\n"


def logprobs(fathom, model, ids, kv):
    out = run(fathom, "logprobs", "--model", model, "--kv", kv, "--input", "-", "--output", "-", text=ids)
    rows = [json.loads(line) for line in out.splitlines()]
    return [p for row in rows for p in row["logprobs"][1:]], [a for row in rows for a in row["argmax"]]


def scores(fathom, model, kv):
    """Headline value of each demo task."""
    with tempfile.TemporaryDirectory() as folder:
        db = str(Path(folder) / "kv.db")
        run(fathom, "run", *TASKS, "--model", model, "--kv", kv, "--db", db)
        shown = json.loads(run(fathom, "show", "latest", "--db", db, "--json"))
    wanted = ("task:demo_needle", "group:demo_cloze", "task:demo_math")
    headline = {m["scope"]: m for m in shown["metrics"] if m["headline"] and m["scope"] in wanted}
    return " | ".join(f"{headline[scope]['value']:.3f}" for scope in wanted)


def main():
    fathom, model = sys.argv[1:3]
    ids = prompts(fathom, model)
    exact, exact_argmax = logprobs(fathom, model, ids, "fp32")
    print(f"{len(ids.splitlines())} texts, {len(exact)} tokens", file=sys.stderr)
    print(
        "| `--kv` | bytes a token and layer | mean change of log p | largest | of the mean | argmax changed"
        " | demo_needle | demo_cloze | demo_math |"
    )
    print("| --- " * 9 + "|")
    for kv in FORMATS:
        found, argmax = logprobs(fathom, model, ids, kv)
        changes = [b - a for a, b in zip(exact, found, strict=True)]
        n_argmax = sum(a != b for a, b in zip(exact_argmax, argmax, strict=True))
        print(
            f"| {kv} | {ROW_BYTES[kv]} | {sum(map(abs, changes)) / len(changes):.2g} | {max(map(abs, changes)):.2g}"
            f" | {sum(changes) / len(changes):+.2g} | {100 * n_argmax / len(argmax):.2f} %"
            f" | {scores(fathom, model, kv)} |",
            flush=True,
        )


main()
