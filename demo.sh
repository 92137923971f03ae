#!/usr/bin/env bash
# Builds fathom and evaluates the two checkpoints of this repository on the demo tasks: both tables, what changed
# between them, and the gate's verdict. The results stay in build/demo/results.db.
set -euo pipefail
cd "$(dirname "$0")"
tools/setup/install-packages.sh cmake/debian-packages.txt
cmake --preset release > build-configure.log 2>&1 || { cat build-configure.log; exit 1; }
rm -f build-configure.log
cmake --build --preset release --target fathom
tools/evaluate_demo.sh build/release/fathom build/demo/results.db
