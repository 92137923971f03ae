#!/usr/bin/env python3
"""Times fathom's tokenizer and Hugging Face `tokenizers` on the same texts, one thread each, turn by turn.

Processor time, so that a busy machine does not matter much. Each text is encoded whole; after the first
pass (words not cached yet) the two take turns --repeats times. Texts: English (the files of --english), code
(Python's own standard library), Chinese (words of the vocabulary itself drawn by a Zipf law with punctuation,
as no Chinese text comes with the test data) and one letter, 1 and 2 MB in a single line, where only linear
time passes.

usage: measure_speed.py --program build/release/tests/engine/tokenizer_speed --model DIR --english FILE...
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Tokenizer

MEGABYTE = 1_000_000
_STOPS = "\uff0c\uff0c\uff0c\u3002\u3002\uff1b\uff1f\n"  # comma thrice, full stop twice, semicolon, question


def first_bytes(text: str, n_bytes: int) -> str:
    return text.encode()[:n_bytes].decode(errors="ignore")


def code(n_bytes: int) -> str:
    library = Path(sysconfig.get_paths()["stdlib"])
    return first_bytes("".join(p.read_text(errors="ignore") for p in sorted(library.glob("*.py"))), n_bytes)


def chinese(tokenizer: Tokenizer, n_bytes: int) -> str:
    decoded = (tokenizer.decode([i]) for i in range(tokenizer.get_vocab_size()))
    words = [w for w in decoded if w and all("\u4e00" <= c <= "\u9fff" for c in w)]
    draws = random.Random(1)
    weights = [1 / (rank + 10) for rank in range(len(words))]
    text = ""
    while len(text.encode()) < n_bytes:
        for sentence_length in draws.choices(range(4, 16), k=1000):
            text += "".join(draws.choices(words, weights, k=sentence_length)) + draws.choice(_STOPS)
    return first_bytes(text, n_bytes)


class Program:
    """The C++ half: one answer for every path it is told."""

    def __init__(self, binary: Path, model: Path):
        self.process = subprocess.Popen(
            [str(binary), str(model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def encode(self, path: Path) -> tuple[float, int]:
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        seconds, n_tokens = self.process.stdout.readline().split()
        return float(seconds), int(n_tokens)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, help="folder with tokenizer.json")
    parser.add_argument("--english", type=Path, nargs="+", required=True, help="text files")
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    reference = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    program = Program(args.program, args.model)
    texts = {
        "English": first_bytes("".join(p.read_text() for p in sorted(args.english)), 2 * MEGABYTE),
        "code": code(2 * MEGABYTE),
        "Chinese": chinese(reference, 2 * MEGABYTE),
        "one letter, 1 MB": "a" * MEGABYTE,
        "one letter, 2 MB": "a" * 2 * MEGABYTE,
    }
    columns = f"{'fathom first':>14}{'median':>9}{'tokenizers first':>18}{'median':>9}"
    print(f"{'MB/s':18}{'bytes':>10}{'tokens':>9}{columns}")
    medians = {}
    for name, text in texts.items():
        size = len(text.encode())
        ours, theirs = [], []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "text"
            path.write_text(text, newline="")
            for _ in range(args.repeats + 1):
                seconds, n_tokens = program.encode(path)
                ours.append(seconds)
                begin = time.process_time()
                found = reference.encode_batch_fast([text], add_special_tokens=False)[0]
                theirs.append(time.process_time() - begin)
                if len(found.ids) != n_tokens:
                    raise SystemExit(f"{name}: {n_tokens} tokens, tokenizers {len(found.ids)}")
        medians[name] = statistics.median(ours[1:])
        times = (ours[0], medians[name], theirs[0], statistics.median(theirs[1:]))
        first, median, their_first, their_median = (size / MEGABYTE / t for t in times)
        columns = f"{first:>14.1f}{median:>9.1f}{their_first:>18.1f}{their_median:>9.1f}"
        print(f"{name:18}{size:>10}{n_tokens:>9}{columns}", flush=True)
    ratio = medians["one letter, 2 MB"] / medians["one letter, 1 MB"]
    print(f"2 MB of one letter against 1 MB: {ratio:.2f} times")


if __name__ == "__main__":
    main()
