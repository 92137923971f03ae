#!/usr/bin/env bash
# Builds fathom, makes a small random checkpoint and evaluates fathom's own sample questions on it.
set -euo pipefail
cd "$(dirname "$0")"
tools/setup/install-packages.sh cmake/debian-packages.txt
tools/setup/install-packages.sh tools/setup/demo-packages.txt
cmake --preset release > build-configure.log 2>&1 || { cat build-configure.log; exit 1; }
rm -f build-configure.log
cmake --build --preset release --target fathom
work=build/demo
mkdir -p "$work"
rm -rf "$work/random"
/usr/bin/python3 tools/make_checkpoint.py tiny "$work/random" --set vocab_size=512 --tokenizer tests/golden/tokenizer
build/release/fathom model info "$work/random"
build/release/fathom run mmlu_sample --model "$work/random" --db "$work/results.db" --name demo
