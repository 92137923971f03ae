#!/usr/bin/env bash
# Installs the Debian packages that a list names and this machine lacks: install-packages.sh LIST
# Prints what it installs; stops with the list when it may not install (neither root nor sudo).
set -euo pipefail
list=$1
command -v dpkg-query >/dev/null || { echo "install-packages.sh: needs Debian 12 (tested) or Ubuntu >= 24.04 (untested); this system has no dpkg. Install the equivalents of: $(grep -v '^#' "$list" | tr '\n' ' ')" >&2; exit 5; }
missing=()
while read -r package; do
  [[ -z $package || $package == \#* ]] && continue
  [[ $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) == "install ok installed" ]] || missing+=("$package")
done < "$list"
[[ ${#missing[@]} -eq 0 ]] && exit 0
echo "installing Debian packages: ${missing[*]}"
if [[ $(id -u) -eq 0 ]]; then
  as_root=()
elif command -v sudo >/dev/null; then
  as_root=(sudo)
else
  echo "not root and no sudo here; install these packages and run again: ${missing[*]}" >&2
  exit 5
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${as_root[@]}" apt-get update -qq && DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  cat "$log" >&2
  echo "installing failed; the packages wanted are: ${missing[*]}" >&2
  exit 5
fi
