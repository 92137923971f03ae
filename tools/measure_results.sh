#!/usr/bin/env bash
# Size and query times of a results database with a million choice samples (docs/results.md, "Sizes and times").
# usage: tools/measure_results.sh [RUNS]      71 runs of 14,042 questions by default; needs 300 MB in TMPDIR
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cmake --build "$root/build/release" --target store_scale >/dev/null
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$root"/build/release/tests/results/store_scale "$folder" "${1:-71}"
