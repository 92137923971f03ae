"""Seeded texts that exercise a tokenizer. tests/engine/tokenizer_corpora.cc makes the same ones, character for
character, so that make_goldens.py need keep only hashes.

A text is a row of runs; a run is some characters of one kind, or an added token (whole or cut short).
"""

MASK = 2**64 - 1


class SplitMix:
    """splitmix64: the random numbers of both implementations."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def below(self, n: int) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        return (z ^ z >> 31) % n


# Inclusive ranges of code points.
KINDS = {
    "lower": [(0x61, 0x7A)],
    "upper": [(0x41, 0x5A)],
    "digit": [(0x30, 0x39)],
    "punctuation": [(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)],
    "space": [(0x20, 0x20)],
    "white": [(0x9, 0xD), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A),
              (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)],
    "line": [(0xA, 0xA), (0xD, 0xD)],
    "latin": [(0xC0, 0x24F)],
    "greek": [(0x370, 0x52F)],
    "vietnamese": [(0x1E00, 0x1FFF)],
    "semitic": [(0x590, 0x6FF)],
    "indic": [(0x900, 0xDFF)],
    "symbol": [(0x2010, 0x2BFF)],
    "kana": [(0x3000, 0x30FF)],
    "cjk": [(0x4E00, 0x9FFF)],
    "hangul": [(0xAC00, 0xD7FF)],
    "fullwidth": [(0xFF00, 0xFFEF)],
    "number": [(0xB2, 0xBE), (0x660, 0x669), (0x2150, 0x218B), (0x2460, 0x249B), (0x1D7CE, 0x1D7FF)],
    "emoji": [(0x1F300, 0x1FAFF), (0x200D, 0x200D), (0xFE0F, 0xFE0F)],
    "control": [(0x0, 0x1F), (0x7F, 0x9F)],
    "any": [(0x0, 0xD7FF), (0xE000, 0x10FFFF)],
}

# name -> kinds (repeated for weight); "token" is an added token, "cut" the beginning of one.
CORPORA = {
    "prose": ["lower", "lower", "lower", "lower", "space", "space", "space", "upper", "punctuation", "digit", "line"],
    "code": ["lower", "punctuation", "punctuation", "space", "space", "white", "line", "digit", "upper"],
    "white": ["white", "white", "space", "space", "line", "lower", "punctuation", "kana"],
    "scripts": ["latin", "greek", "vietnamese", "semitic", "indic", "kana", "cjk", "hangul", "space", "lower",
                "fullwidth", "number", "white"],
    "cjk": ["cjk", "cjk", "cjk", "kana", "hangul", "fullwidth", "space", "digit"],
    "symbols": ["symbol", "emoji", "number", "fullwidth", "control", "punctuation", "space", "latin"],
    "anything": ["any", "any", "lower", "space"],
    "tokens": ["token", "token", "cut", "lower", "space", "punctuation", "line", "latin", "cjk"],
}


def _run(draw: SplitMix, kind: str, tokens: list[str]) -> str:
    if kind in ("token", "cut"):
        token = tokens[draw.below(len(tokens))]
        return token if kind == "token" else token[: draw.below(len(token)) + 1]
    ranges = KINDS[kind]
    total = sum(high - low + 1 for low, high in ranges)
    text = ""
    for _ in range(1 + draw.below(6)):
        index = draw.below(total)
        for low, high in ranges:
            if index <= high - low:
                text += chr(low + index)
                break
            index -= high - low + 1
    return text


def texts(corpus: str, seed: int, count: int, tokens: list[str]) -> list[str]:
    """`count` texts of a corpus; `tokens` are the contents of the added tokens in the order of their ids."""
    draw = SplitMix(seed)
    kinds = CORPORA[corpus]
    made = []
    for _ in range(count):
        text = ""
        for _ in range(1 + draw.below(12)):
            text += _run(draw, kinds[draw.below(len(kinds))], tokens)
        made.append(text)
    return made
