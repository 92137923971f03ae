#!/usr/bin/env python3
"""Whether the installed transformers computes DeepSeek-V2 right, in float32: it must reproduce published values.

Releases without the softmax factor mscale^2, for one, give -52.38 instead of -49.90 for golden A. Exit code 1
when a value is missed: such a transformers is no reference.

usage: check_transformers.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import transformers

sys.path.insert(0, str(Path(__file__).resolve().parent))

from goldens.published import PUBLISHED, Published
from reference import deepseek_v2_transformers as port
from reference.golden_checkpoint import write_golden_checkpoint

TOLERANCE = 1e-4


def sum_of_logprobs(golden: Published) -> float:
    with tempfile.TemporaryDirectory() as folder:
        write_golden_checkpoint(golden.config, Path(folder))
        model = port.load(Path(folder), patched=False)
        return float(np.nansum(port.score(model, golden.ids()).logprobs))


def main() -> None:
    missed = 0
    for name, golden in PUBLISHED.items():
        if not port.port_agrees(golden.config):
            continue
        found = sum_of_logprobs(golden)
        wrong = not abs(found - golden.sum_logprob) <= TOLERANCE
        missed += wrong
        print(
            f"transformers {transformers.__version__}, golden {name}: sum of log p {found:.6f}, "
            f"published {golden.sum_logprob:.6f}{'  MISSED' if wrong else ''}"
        )
    if missed:
        raise SystemExit("this transformers is no reference for DeepSeek-V2; 5.24.0 is one")


if __name__ == "__main__":
    main()
