#!/usr/bin/env bash
# Coverage of the intervals, and false-alarm rate and power of the shipped gate, by simulation (docs/statistics.md).
# usage: tools/measure_statistics.sh [TRIALS]     about five minutes with the default of 2000
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cmake --build "$root/build/release" --target coverage gate_error_rates >/dev/null
"$root"/build/release/tests/results/coverage "${1:-2000}"
"$root"/build/release/tests/results/gate_error_rates "${1:-2000}"
