#!/usr/bin/env bash
# Builds fathom and evaluates the two checkpoints of this repository on the demo tasks: both tables, what changed
# between them, and the gate's verdict. The results stay in build/demo/results.db.
set -euo pipefail
cd "$(dirname "$0")"
tools/setup/install-packages.sh cmake/debian-packages.txt
cmake --preset release > build-configure.log 2>&1 || { cat build-configure.log; exit 1; }
rm -f build-configure.log
cmake --build --preset release --target fathom
fathom=build/release/fathom
database=build/demo/results.db
mkdir -p build/demo
rm -f "$database"
for model in nano-early nano; do
  "$fathom" run demo_choice demo_cloze demo_math demo_code demo_needle --model "models/$model" --db "$database" --name "$model"
done
"$fathom" compare 1 2 --db "$database" --flips 3
verdict=0
"$fathom" gate --base 1 --cand 2 --db "$database" || verdict=$?
echo "the gate's exit code: $verdict"
