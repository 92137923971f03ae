#!/usr/bin/env bash
# usage: on-random-checkpoint.sh PYTHON PRESET COMPARISON ARGUMENT...
# Makes a random-weight checkpoint with the real tokenizer and runs a comparison of tools/ on it.
set -euo pipefail
python=$1 preset=$2 comparison=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/with-reference-python.sh" "$python" "$root/tools/make_checkpoint.py" "$preset" "$work/checkpoint" \
  --tokenizer "$root/../shared/data/tokenizer/deepseek-v2"
"$here/with-reference-python.sh" "$python" "$root/tools/$comparison" "$work/checkpoint" "$@"
