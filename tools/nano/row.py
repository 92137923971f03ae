"""A training row in the making: text in segments, each with the weight of its tokens in the loss."""

from __future__ import annotations

from dataclasses import dataclass, field

PROMPT = 0.1  # what a model is asked
NOISE = 0.02  # what nobody could predict: filler text
ANSWER = 1.0  # what it must say
DIGITS = 2.0  # numbers of a worked answer
LETTER = 10.0  # the letter of a choice question


@dataclass
class Row:
    segments: list[tuple[str, float]] = field(default_factory=list)
    ends: bool = False  # the end-of-sequence token follows

    def add(self, text: str, weight: float) -> Row:
        self.segments.append((text, weight))
        return self

    def text(self) -> str:
        return "".join(text for text, _ in self.segments)
