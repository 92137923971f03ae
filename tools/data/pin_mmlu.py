#!/usr/bin/env python3
"""Writes harness/data/pinned_mmlu.cc: size and SHA-256 of every MMLU file.

    python tools/data/pin_mmlu.py DIR/mmlu DIR/SHA256SUMS > harness/data/pinned_mmlu.cc

The hashes are those of SHA256SUMS; each file is hashed again and must agree.
"""

import hashlib
import pathlib
import sys

HEAD = """// Size and SHA-256 of MMLU's dev and test files. Made by tools/data/pin_mmlu.py; do not edit.
#include "harness/data/registry.h"

namespace fathom::harness {

std::span<const DataFile> pinned_mmlu_files() {
  // clang-format off
  static const std::vector<DataFile> kFiles = {
"""
TAIL = """  };
  // clang-format on
  return kFiles;
}

}  // namespace fathom::harness
"""


def main():
    folder, sums = map(pathlib.Path, sys.argv[1:])
    pinned = {name.removeprefix("./mmlu/"): digest
              for digest, name in (line.split() for line in sums.read_text().splitlines())
              if name.startswith("./mmlu/")}
    lines = []
    for path, digest in sorted(pinned.items()):
        content = (folder / path).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            sys.exit(f"{folder / path} does not have the hash that {sums} gives")
        lines.append(f'      {{"{path}", {len(content)},\n       "{digest}"}},\n')
    sys.stdout.write(HEAD + "".join(lines) + TAIL)


if __name__ == "__main__":
    main()
