#!/usr/bin/env bash
# What ./demo.sh does once fathom is built: both checkpoints of models/ on the demo tasks, both tables, what changed
# between them, and the gate's verdict.
# usage: tools/evaluate_demo.sh FATHOM DATABASE     DATABASE is written anew
set -euo pipefail
fathom=$1 database=$2
models=$(cd "$(dirname "$0")/../models" && pwd)
mkdir -p "$(dirname "$database")"
rm -f "$database"
for model in nano-early nano; do
  "$fathom" run demo_choice demo_cloze demo_math demo_code demo_needle --model "$models/$model" --db "$database" --name "$model"
done
"$fathom" compare 1 2 --db "$database" --flips 3
verdict=0
"$fathom" gate --base 1 --cand 2 --db "$database" || verdict=$?
echo "the gate's exit code: $verdict"
