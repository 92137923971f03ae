"""Deterministic weights from tensor names, so that goldens need no stored weights.

Element i of tensor N is a splitmix64 draw seeded with FNV-1a 64 of N, mapped to u in [-1, 1), then to
1 + u/4 for norms, u/2 for the router, u for the embedding and u/4 for the rest; rounded once to float32.
"""

from __future__ import annotations

import numpy as np

from reference.safetensors_io import rounded

_GOLDEN = 0x9E3779B97F4A7C15


def fnv1a_64(text: str) -> int:
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def uniform(name: str, begin: int, end: int) -> np.ndarray:
    """Draws [begin, end) of stream `name`: float64 in [-1, 1), multiples of 2^-23."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a_64(name)) + np.arange(begin + 1, end + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) / 2**23 - 1.0


def weights(name: str, begin: int, end: int) -> np.ndarray:
    """Elements [begin, end) of tensor `name` in row-major order, float32."""
    u = uniform(name, begin, end)
    if "norm" in name:
        u = 1.0 + u / 4
    elif name.endswith("mlp.gate.weight"):
        u = u / 2
    elif "embed" not in name:
        u = u / 4
    return u.astype(np.float32)


def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return weights(name, 0, int(np.prod(shape))).reshape(shape)


class SplitmixWeights:
    """The named tensors of one config as a float64 weight source, rounded to `dtype` first. Made once."""

    def __init__(self, shapes: dict[str, tuple[int, ...]], dtype: str = "F32"):
        self._shapes, self._dtype = shapes, dtype
        self._made: dict[str, np.ndarray] = {}

    def __call__(self, name: str, rows: slice = slice(None)) -> np.ndarray:
        if name not in self._made:
            values = tensor(name, self._shapes[name])
            self._made[name] = rounded(values, stored_dtype(name, self._dtype)).astype(np.float64)
        return self._made[name][rows]


def stored_dtype(name: str, dtype: str) -> str:
    """dtype that `name` is stored in: the router stays F32 among 16-bit weights, as transformers 5 saves."""
    return "F32" if name.endswith("mlp.gate.weight") else dtype
