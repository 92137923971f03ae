#!/usr/bin/env bash
# Kills one run of fathom with SIGKILL at random moments and counts lost samples (docs/results.md, "Killed").
# usage: tools/kill_run.sh [KILLS [QUESTIONS [SEED]]]      200 kills of a run of 30,000 questions by default
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cmake --build "$root/build/release" --target fathom kill_run >/dev/null
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$root"/build/release/tests/e2e/kill_run "$folder" "$@"
