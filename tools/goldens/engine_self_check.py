"""The float64 reference against the published values of four tiny configurations."""

from __future__ import annotations

import numpy as np
from goldens.published import PUBLISHED
from reference import splitmix
from reference.deepseek_v2_numpy import DeepseekV2
from reference.geometry import resolve, tensor_table


def self_check() -> None:
    """Raises SystemExit when the reference misses a published value."""
    for name, golden in PUBLISHED.items():
        weights = splitmix.SplitmixWeights(dict(tensor_table(resolve(golden.config))))
        found = DeepseekV2(golden.config, weights).score([golden.ids()], keep_logits=True)[0]
        total = float(np.nansum(found.logprobs))
        if abs(total - golden.sum_logprob) > 2e-6:
            raise SystemExit(f"config {name}: sum of log p is {total:.6f}, published {golden.sum_logprob:.6f}")
        for position, values in golden.logits.items():
            if np.abs(found.logits[position, :4] - values).max() > 2e-6:
                raise SystemExit(
                    f"config {name}: logits at {position} {found.logits[position, :4]}, published {values}"
                )
