"""Fast token ids of training text: pieces as the tokenizer cuts them, each looked up once."""

from __future__ import annotations

import re
from pathlib import Path

from tokenizers import Tokenizer

from .row import Row

BOS = "<｜begin▁of▁sentence｜>"
EOS = "<｜end▁of▁sentence｜>"

# The tokenizer's sequence of splits as one expression, for ASCII text alone: line breaks, words and signs
# with the one space before them, single digits, and the spaces that remain.
_PIECES = re.compile(r"[\r\n]|[ \t]?[A-Za-z]+|[ \t]?[!-/:-@\[-`{-~]+|[0-9]|[ \t]+(?=[ \t][!-/:-~])|[ \t]+")


class Encoder:
    def __init__(self, folder: Path):
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._known: dict[str, list[int]] = {}
        self.vocab = self._tokenizer.get_vocab_size()
        self.bos = self._tokenizer.token_to_id(BOS)
        self.eos = self._tokenizer.token_to_id(EOS)

    def encode(self, text: str) -> list[int]:
        """The tokenizer's own encoding, without BOS."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True)

    def _piece(self, text: str) -> list[int]:
        ids = self._known.get(text)
        if ids is None:
            ids = self._known[text] = self.encode(text)
        return ids

    def encode_row(self, row: Row) -> tuple[list[int], list[float]]:
        """BOS and the ids of the whole text, each with the weight of the segment its piece begins in."""
        ids, weights = [self.bos], [0.0]
        ends, at = [], 0
        for text, weight in row.segments:
            at += len(text)
            ends.append((at, weight))
        segment = 0
        for match in _PIECES.finditer(row.text()):
            while match.start() >= ends[segment][0]:
                segment += 1
            piece = self._piece(match.group())
            ids += piece
            weights += [ends[segment][1]] * len(piece)
        if row.ends:
            ids.append(self.eos)
            weights.append(1.0)
        return ids, weights
