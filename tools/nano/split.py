"""Train or test, decided by what an item means and never by how it is worded."""

from __future__ import annotations

import hashlib


def key_hash(key: str) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a semantic key such as "capital|North Ellery"."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def is_test(key: str, one_in: int) -> bool:
    """Whether the item of this key belongs to the test side, to which one in `one_in` goes."""
    return int(key_hash(key), 16) % one_in == 0
