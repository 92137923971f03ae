#!/usr/bin/env bash
# Size and query times of a results database with a million choice samples (docs/results.md, "Sizes").
# usage: tools/measure_results.sh [FOLDER [RUNS]]     needs about 1 GB in FOLDER (a temporary one by default)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cmake --build "$root/build/release" --target store_scale >/dev/null
folder=${1:-$(mktemp -d)}
mkdir -p "$folder"
rm -f "$folder"/scale.db*
"$root"/build/release/tests/results/store_scale "$folder" "${2:-71}"
