#!/usr/bin/env bash
# Installs what is missing, builds fathom and runs every test: ./test.sh [PRESET]   (default: release)
# Debian 12 is tested; Ubuntu >= 24.04 should work and is untested.
set -euo pipefail
cd "$(dirname "$0")"
preset=${1:-release}
tools/setup/install-packages.sh cmake/debian-packages.txt
cmake --preset "$preset"
cmake --build --preset "$preset"
ctest --preset "$preset" --label-exclude heavy
