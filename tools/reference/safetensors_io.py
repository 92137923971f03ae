"""safetensors files with numpy alone: a streaming writer and a memory-mapped reader that know BF16.

numpy has no bfloat16, so BF16 tensors pass through uint16 with round-to-nearest-even.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
_CHUNK_ELEMENTS = 1 << 22


def encode(values: np.ndarray, dtype: str) -> bytes:
    """float32 `values` as little-endian bytes of a safetensors dtype. NaN is not expected."""
    values = np.ascontiguousarray(values, dtype="<f4")
    if dtype == "F32":
        return values.tobytes()
    if dtype == "F16":
        return values.astype("<f2").tobytes()
    bits = values.view("<u4")
    return (
        ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))
        .astype("<u2")
        .tobytes()
    )


def decode(raw: np.ndarray, dtype: str) -> np.ndarray:
    """uint8 `raw` of a safetensors dtype as float32, exactly."""
    if dtype == "F32":
        return raw.view("<f4")
    if dtype == "F16":
        return raw.view("<f2").astype(np.float32)
    return (raw.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)


def rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    """`values` as they read back after being stored in `dtype`."""
    return decode(np.frombuffer(encode(values, dtype), dtype=np.uint8), dtype).reshape(values.shape)


class TensorSpec:
    """One tensor to write: `values(begin, end)` gives row-major elements as float32, asked for in order."""

    def __init__(
        self, name: str, shape: tuple[int, ...], dtype: str, values: Callable[[int, int], np.ndarray]
    ):
        self.name, self.shape, self.dtype, self.values = name, shape, dtype, values
        self.elements = int(np.prod(shape))
        self.n_bytes = self.elements * ITEM_BYTES[dtype]


def write_checkpoint(folder: Path, tensors: Iterable[TensorSpec], max_shard_bytes: int | None) -> int:
    """Writes model.safetensors, or shards and an index given `max_shard_bytes`. Returns bytes of tensors.

    Memory use is one chunk of one tensor: any size of model can be written.
    """
    shards: list[list[TensorSpec]] = [[]]
    room = max_shard_bytes
    for spec in tensors:
        if max_shard_bytes is not None and shards[-1] and spec.n_bytes > room:
            shards.append([])
            room = max_shard_bytes
        shards[-1].append(spec)
        if room is not None:
            room -= spec.n_bytes
    if max_shard_bytes is None:
        names = ["model.safetensors"]
    else:
        names = [f"model-{i + 1:05d}-of-{len(shards):06d}.safetensors" for i in range(len(shards))]
    total = 0
    for name, shard in zip(names, shards, strict=True):
        _write_file(folder / name, shard)
        total += sum(spec.n_bytes for spec in shard)
    if max_shard_bytes is not None:
        index = {
            "metadata": {"total_size": total},
            "weight_map": {
                spec.name: name for name, shard in zip(names, shards, strict=True) for spec in shard
            },
        }
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    return total


def _write_file(path: Path, tensors: list[TensorSpec]) -> None:
    header: dict = {"__metadata__": {"format": "pt"}}
    offset = 0
    for spec in tensors:
        header[spec.name] = {
            "dtype": spec.dtype,
            "shape": list(spec.shape),
            "data_offsets": [offset, offset + spec.n_bytes],
        }
        offset += spec.n_bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for spec in tensors:
            for begin in range(0, spec.elements, _CHUNK_ELEMENTS):
                end = min(begin + _CHUNK_ELEMENTS, spec.elements)
                file.write(encode(spec.values(begin, end), spec.dtype))


class Checkpoint:
    """config.json and tensors of a checkpoint folder, memory-mapped. Calling it with a name gives float64."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.config = json.loads((self.folder / "config.json").read_text())
        self._where: dict[str, tuple[np.ndarray, str, tuple[int, ...]]] = {}
        index = self.folder / "model.safetensors.index.json"
        if index.exists():
            files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        else:
            files = ["model.safetensors"]
        for name in files:
            self._map_file(self.folder / name)

    def _map_file(self, path: Path) -> None:
        data = np.memmap(path, dtype=np.uint8, mode="r")
        size = int.from_bytes(data[:8].tobytes(), "little")
        header = json.loads(data[8 : 8 + size].tobytes())
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            self._where[name] = (
                data[8 + size + begin : 8 + size + end],
                entry["dtype"],
                tuple(entry["shape"]),
            )

    def names(self) -> list[str]:
        return list(self._where)

    def dtype(self, name: str) -> str:
        return self._where[name][1]

    def __call__(self, name: str, rows: slice = slice(None)) -> np.ndarray:
        raw, dtype, shape = self._where[name]
        raw = raw.reshape(shape[0], -1)[rows]
        values = decode(np.ascontiguousarray(raw).reshape(-1), dtype)
        return values.reshape(-1, *shape[1:]).astype(np.float64)
