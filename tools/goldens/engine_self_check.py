"""The float64 reference against published values of four tiny configurations.

The expected sums of log p were computed by an independent program with the same named weights. Each common
bug (no mscale, half-split rotation, strided groups, ...) changes them by more than the tolerance used here.
"""

from __future__ import annotations

import numpy as np

from goldens.engine_cases import _BEYOND, _GREEDY, _GROUPED, _YARN
from reference import splitmix
from reference.deepseek_v2_numpy import DeepseekV2
from reference.geometry import resolve, tensor_table

# config, tokens, sum of log p, {position: first four logits}
_PUBLISHED = {
    "A": (
        _GROUPED,
        11,
        -49.900493,
        {0: (1.845042, 1.381840, 1.045744, 0.496404), 10: (-1.140906, -1.122995, -0.447725, -0.831995)},
    ),
    "B": (
        _GREEDY,
        11,
        -56.257313,
        {5: (-0.918249, -1.715755, -0.189545, 1.665073), 10: (2.681390, -0.380213, -1.152882, 1.130768)},
    ),
    "C": (
        {**_GROUPED, **_BEYOND},
        48,
        -269.095372,
        {24: (2.693897, 1.527062, -2.888657, 1.599411), 47: (0.786306, 0.036038, -0.792740, 0.287258)},
    ),
    "D": (
        {**_GROUPED, "rope_scaling": {**_YARN, "mscale": 1.0}},
        11,
        -50.076446,
        {10: (-0.968453, -1.120270, -0.094663, -0.654355)},
    ),
}


def self_check() -> None:
    """Raises SystemExit when the reference misses a published value."""
    for name, (config, length, expected, logits) in _PUBLISHED.items():
        ids = [(7 * i * i + 3 * i + 1) % 128 for i in range(length)]
        weights = splitmix.SplitmixWeights(dict(tensor_table(resolve(config))))
        found = DeepseekV2(config, weights).score([ids], keep_logits=True)[0]
        total = float(np.nansum(found.logprobs))
        if abs(total - expected) > 2e-6:
            raise SystemExit(f"config {name}: sum of log p is {total:.6f}, published {expected:.6f}")
        for position, values in logits.items():
            if np.abs(found.logits[position, :4] - values).max() > 2e-6:
                raise SystemExit(
                    f"config {name}: logits at {position} {found.logits[position, :4]}, published {values}"
                )
