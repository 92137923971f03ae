"""Writes what Hugging Face `tokenizers` makes of many texts: tests/golden/tokenizer/expected.json.

    python tools/tokenizer/make_goldens.py --small tests/golden/tokenizer --big DIR
        --output tests/golden/tokenizer/expected.json

Needs `tokenizers`. --big is the folder of DeepSeek's own tokenizer.json, of which only hashes are kept. Texts are
listed in full for a few cases; of the seeded corpora (corpora.py) the file holds SHA-256 hashes. Beside the small
tokenizer itself stand variants of it: the pre-tokenizer's steps in other orders, and ignore_merges.
"""

import argparse
import hashlib
import json
import pathlib

import corpora
import pre_tokenizer
import tokenizers
from tokenizers import Regex, Tokenizer
from tokenizers import pre_tokenizers as hf

SEED = 20240507
COUNT = 400  # texts of each corpus

CASES = [
    "", " ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\t\n", "   \n", "a  \n  b",
    "Hello world", " Hello world", "Hello  World!", "a   b", "  a",
    "café naïve Führer", "it's", "foo_bar", "C++", "!!!!!!", "1,234.5", "3½ x² Ⅷ ٣٤", "i = 007;",
    "\u00a0word", " \u3002", " \u201cquote\u201d", "\u3000\u3000x", "trailing \u2003\u00a0", "tab\tand\x0bvt \x85",
    "中文字符，测试。", "日本語テスト　全角", "한국어 텍스트", "हिन्दी पाठ", "Tiếng Việt", "Ελληνικά", "кириллица",
    "🦙.cpp 👩\u200d👩\u200d👧\u200d👦 🇪🇺", "\u0000\u0007\u007f", "\ufffd\ufeff\ufffe",
    "<｜begin▁of▁sentence｜>Hello<｜end▁of▁sentence｜>", " <｜User｜> hi <｜Assistant｜>", "<｜User｜",
    "<note><note>s<note", "a<note>sb ø ÿ", "<｜User｜><note>s<｜fim▁hole｜>",
    "The quick brown fox jumps over the lazy dog. " * 4, "a" * 300, "ab" * 150, "=" * 200, " " * 100,
]


def digest(rows: list[list[int]]) -> str:
    """SHA-256 of one line per text: the ids in decimal, joined by ","."""
    lines = "".join(",".join(map(str, row)) + "\n" for row in rows)
    return hashlib.sha256(lines.encode()).hexdigest()


def digest_texts(rows: list[str]) -> str:
    """SHA-256 of the texts, a zero byte after each."""
    return hashlib.sha256("".join(row + "\0" for row in rows).encode()).hexdigest()


# Orders of the six steps before ByteLevel. \\s+$ in front of the line break step sees whole texts.
STEP_ORDERS = [[3, 0, 1, 2, 4, 5], [5, 4, 3, 2, 1, 0], [2, 1, 3, 5, 4, 0], [4, 3, 1, 0]]


class Reference:
    def __init__(self, tokenizer_json: str) -> None:
        self.sha256 = hashlib.sha256(tokenizer_json.encode()).hexdigest()
        self.tokenizer = Tokenizer.from_str(tokenizer_json)
        added = self.tokenizer.get_added_tokens_decoder()
        self.tokens = [added[id].content for id in sorted(added)]

    def encode(self, text: str, special: str) -> list[int]:
        self.tokenizer.encode_special_tokens = special == "text"
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int], skip: bool) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=skip)

    def case(self, text: str) -> dict:
        ids = self.encode(text, "parse")
        return {"text": text, "ids": ids, "ids_as_text": self.encode(text, "text"), "decoded": self.decode(ids, False),
                "decoded_without_special": self.decode(ids, True)}

    def corpus(self, name: str) -> dict:
        texts = corpora.texts(name, SEED, COUNT, self.tokens)
        ids = [self.encode(text, "parse") for text in texts]
        return {"name": name, "texts": digest_texts(texts), "ids": digest(ids),
                "ids_as_text": digest([self.encode(text, "text") for text in texts]),
                "decoded": digest_texts([self.decode(row, False) for row in ids]),
                "decoded_without_special": digest_texts([self.decode(row, True) for row in ids])}


def class_bits(step: hf.PreTokenizer, bit: int, points: list[str]) -> list[int]:
    """`bit` for each character that the step isolates, else 0. A private-use character stands between them."""
    bits = [0] * len(points)
    for begin in range(0, len(points), 4096):
        text = "\ue000" + "\ue000".join(points[begin : begin + 4096]) + "\ue000"
        for _, (start, end) in step.pre_tokenize_str(text):
            if end - start == 1 and start % 2 == 1:
                bits[begin + start // 2] = bit
    return bits


def code_point_classes() -> str:
    """SHA-256 of one byte for each scalar value: engine/pre_tokenizer.h's CharClass bits, as the library sees
    them."""
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    isolate = [(1, r"\s"), (2, "[\r\n]"), (4, f"[{pre_tokenizer.character_class(pre_tokenizer.LETTERS)}]"),
               (8, f"[{pre_tokenizer.character_class(pre_tokenizer.PUNCTUATION)}]"),
               (16, f"[{pre_tokenizer.character_class(pre_tokenizer.CJK)}]")]
    steps = [(bit, hf.Split(Regex(regex), "isolated")) for bit, regex in isolate]
    steps.append((32, hf.Digits(individual_digits=True)))
    columns = [class_bits(step, bit, points) for bit, step in steps]
    return hashlib.sha256(bytes(sum(bits) for bits in zip(*columns, strict=True))).hexdigest()


def variants(tokenizer_json: str) -> list[dict]:
    made = []
    for order in STEP_ORDERS:
        changed = json.loads(tokenizer_json)
        steps = changed["pre_tokenizer"]["pretokenizers"]
        changed["pre_tokenizer"]["pretokenizers"] = [*(steps[i] for i in order), steps[-1]]
        made.append({"steps": order, "ignore_merges": False, "json": changed})
    changed = json.loads(tokenizer_json)
    changed["model"]["ignore_merges"] = True
    # Whole pieces that no merge reaches: their texts' own merges are gone.
    changed["model"]["merges"] = changed["model"]["merges"][:100]
    made.append({"steps": None, "ignore_merges": True, "json": changed})
    for variant in made:
        reference = Reference(json.dumps(variant.pop("json")))
        variant["corpora"] = [reference.corpus(name) for name in ("prose", "white", "scripts", "tokens")]
    return made


def dump(value: object, depth: int = 0) -> str:
    """JSON with one line for each case and corpus."""
    if isinstance(value, dict) and depth < 2:
        return "{\n" + ",\n".join(f"{json.dumps(k)}: {dump(v, depth + 1)}" for k, v in value.items()) + "\n}"
    if isinstance(value, list) and depth < 3:
        return "[\n" + ",\n".join(dump(v, 3) for v in value) + "\n]"
    return json.dumps(value, separators=(",", ":"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", required=True)
    parser.add_argument("--big", required=True)
    parser.add_argument("--output", required=True)
    args = parser.parse_args()
    small_json, big_json = (pathlib.Path(folder, "tokenizer.json").read_text() for folder in (args.small, args.big))
    small, big = Reference(small_json), Reference(big_json)
    golden = {
        "tokenizers": tokenizers.__version__,
        "seed": SEED,
        "count": COUNT,
        "small": {"sha256": small.sha256, "cases": [small.case(text) for text in CASES],
                  "corpora": [small.corpus(name) for name in corpora.CORPORA]},
        "big": {"sha256": big.sha256, "case_ids": digest([big.encode(text, "parse") for text in CASES]),
                "corpora": [big.corpus(name) for name in corpora.CORPORA]},
        "variants": variants(small_json),
        "code_point_classes": code_point_classes(),
    }
    pathlib.Path(args.output).write_text(dump(golden) + "\n")


if __name__ == "__main__":
    main()
