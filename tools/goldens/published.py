"""Published values of four tiny configurations with named weights (reference/splitmix.py).

The sums of log p were computed by an independent program. Each common bug (no mscale, half-split rotation,
strided groups, ...) changes them by far more than their six digits.
"""

from __future__ import annotations

from dataclasses import dataclass

from goldens.engine_cases import _BEYOND, _GREEDY, _GROUPED, _YARN


@dataclass
class Published:
    config: dict
    length: int
    sum_logprob: float
    logits: dict[int, tuple[float, ...]]  # the first four at some positions

    def ids(self) -> list[int]:
        return [(7 * i * i + 3 * i + 1) % 128 for i in range(self.length)]


PUBLISHED = {
    "A": Published(
        _GROUPED,
        11,
        -49.900493,
        {0: (1.845042, 1.381840, 1.045744, 0.496404), 10: (-1.140906, -1.122995, -0.447725, -0.831995)},
    ),
    "B": Published(
        _GREEDY,
        11,
        -56.257313,
        {5: (-0.918249, -1.715755, -0.189545, 1.665073), 10: (2.681390, -0.380213, -1.152882, 1.130768)},
    ),
    "C": Published(
        {**_GROUPED, **_BEYOND},
        48,
        -269.095372,
        {24: (2.693897, 1.527062, -2.888657, 1.599411), 47: (0.786306, 0.036038, -0.792740, 0.287258)},
    ),
    "D": Published(
        {**_GROUPED, "rope_scaling": {**_YARN, "mscale": 1.0}},
        11,
        -50.076446,
        {10: (-0.968453, -1.120270, -0.094663, -0.654355)},
    ),
}
