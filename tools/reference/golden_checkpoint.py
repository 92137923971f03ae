"""Checkpoints whose weights are functions of their names (splitmix.py): nothing random."""

from __future__ import annotations

import json
from pathlib import Path

from reference import safetensors_io, splitmix
from reference.geometry import resolve, tensor_table


def write_golden_checkpoint(config: dict, folder: Path, dtype: str = "F32") -> None:
    """A checkpoint folder of `config`, without a tokenizer."""
    specs = [
        safetensors_io.TensorSpec(
            name,
            shape,
            splitmix.stored_dtype(name, dtype),
            lambda b, e, name=name: splitmix.weights(name, b, e),
        )
        for name, shape in tensor_table(resolve(config))
    ]
    safetensors_io.write_checkpoint(folder, specs, None)
    (folder / "config.json").write_text(json.dumps(config))
