"""Compares `fathom tokenize` with Hugging Face `tokenizers`, id for id and character for character.

    python tools/tokenizer/check_equality.py --fathom build/release/fathom --model DIR [--text FILE...]
        [--count 20000] [--seed 1]

Needs `tokenizers`. Checks: every code point in six surroundings; the seeded corpora of corpora.py with special
tokens parsed and as text; random ids decoded; the given files, line by line and whole. Any difference is printed
and the exit code is 1.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import corpora
from tokenizers import Tokenizer


class Fathom:
    def __init__(self, binary: str, model: str) -> None:
        self.base = [binary, "tokenize", "--model", model]

    def _run(self, lines: list[dict], *options: str) -> list[dict]:
        with tempfile.TemporaryDirectory() as folder:
            source, result = pathlib.Path(folder, "in"), pathlib.Path(folder, "out")
            source.write_text("".join(json.dumps(line) + "\n" for line in lines))
            subprocess.run([*self.base, "--input", str(source), "--output", str(result), *options], check=True)
            # Not splitlines(): texts may hold U+2028.
            return [json.loads(line) for line in result.read_text().split("\n")[:-1]]

    def encode(self, texts: list[str], special: str) -> list[list[int]]:
        lines = [{"id": i, "text": text} for i, text in enumerate(texts)]
        return [line["ids"] for line in self._run(lines, "--bos", "off", "--special-tokens", special)]

    def decode(self, ids: list[list[int]]) -> list[str]:
        return [line["text"] for line in self._run([{"id": i, "ids": row} for i, row in enumerate(ids)], "--decode")]


class Checker:
    def __init__(self, reference: Tokenizer, fathom: Fathom) -> None:
        self.reference = reference
        self.fathom = fathom
        self.differences = 0

    def encoded(self, name: str, texts: list[str], special: str) -> list[list[int]]:
        """Compares the ids and returns the reference's."""
        self.reference.encode_special_tokens = special == "text"
        expected = [self.reference.encode(text, add_special_tokens=False).ids for text in texts]
        self._report(f"{name} ({special})", texts, expected, self.fathom.encode(texts, special))
        return expected

    def texts(self, name: str, texts: list[str]) -> None:
        for special in ("parse", "text"):
            ids = self.encoded(name, texts, special)
            decoded = [self.reference.decode(row, skip_special_tokens=False) for row in ids]
            self._report(f"{name} ({special}) decoded", texts, decoded, self.fathom.decode(ids))
            same = sum(text == again for text, again in zip(texts, decoded, strict=True))
            print(f"  {same} of {len(texts)} texts survive encoding and decoding, in both")

    def ids(self, count: int, seed: int) -> None:
        draw = corpora.SplitMix(seed)
        size = self.reference.get_vocab_size()
        rows = [[draw.below(size) for _ in range(draw.below(12))] for _ in range(count)]
        expected = [self.reference.decode(row, skip_special_tokens=False) for row in rows]
        self._report("random ids decoded", rows, expected, self.fathom.decode(rows))

    def _report(self, name: str, inputs: list, expected: list, found: list) -> None:
        wrong = [i for i in range(len(inputs)) if expected[i] != found[i]]
        print(f"{name}: {len(inputs) - len(wrong)} of {len(inputs)} equal")
        for i in wrong[:5]:
            print(f"  {inputs[i]!r}\n    expected {expected[i]}\n    found    {found[i]}")
        self.differences += len(wrong)


def code_point_texts() -> list[str]:
    """Every code point in six surroundings that the steps treat differently; 64 neighbours a text."""
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    pieces = [f"a{c}a {c} {c}1\né{c}é\n中{c}。" for c in points]
    return ["\n".join(pieces[i : i + 64]) for i in range(0, len(pieces), 64)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fathom", required=True)
    parser.add_argument("--model", required=True, help="folder with tokenizer.json and tokenizer_config.json")
    parser.add_argument("--text", nargs="*", default=[], help="UTF-8 files to compare line by line and whole")
    parser.add_argument("--count", type=int, default=20000, help="texts of each corpus")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip-code-points", action="store_true", help="saves most of the time")
    args = parser.parse_args()

    tokenizer_json = pathlib.Path(args.model, "tokenizer.json")
    checker = Checker(Tokenizer.from_file(str(tokenizer_json)), Fathom(args.fathom, args.model))
    added = json.loads(tokenizer_json.read_text())["added_tokens"]
    tokens = [token["content"] for token in sorted(added, key=lambda token: token["id"])]

    for name in corpora.CORPORA:
        if tokens or "token" not in corpora.CORPORA[name]:
            checker.texts(name, corpora.texts(name, args.seed, args.count, tokens))
    checker.ids(args.count, args.seed)
    if not args.skip_code_points:
        checker.encoded("every code point", code_point_texts(), "parse")
    for file in args.text:
        text = pathlib.Path(file).read_bytes().decode("utf-8", errors="replace")
        checker.texts(file, [*text.splitlines(keepends=True), text])
    print("no difference" if checker.differences == 0 else f"{checker.differences} differences")
    return 0 if checker.differences == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
