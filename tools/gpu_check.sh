#!/usr/bin/env bash
# Checks --device cuda on a machine with an NVIDIA GPU, in phases that run alone or together, each within 10 minutes.
#
# usage: tools/gpu_check.sh [--bin FOLDER] [--out FOLDER] [PHASE...]     default: all phases, build/release, gpu_check
#        tools/gpu_check.sh --pack BUILD FOLDER
#
#   probe        the card, its driver, its memory bandwidth and fp32 rate: the ceilings of `micro`
#   unit         every kernel against its scalar twin, the engine's golden values
#   invariance   the same bits for every number of rows, at V2-Lite's shapes, and 20 times over
#   sanitizer    memcheck, racecheck, initcheck and synccheck on small cases; needs compute-sanitizer
#   micro        time of each heavy kernel at V2-Lite's shapes beside the ceilings
#   library      which matrices cuBLASLt may compute (--verify-kernels), and its times
#   demo         the demo tasks on models/nano, CPU and GPU, in fp32 and, where the CPU can, in bf16: at least 99 % equal
#                answers, the others listed with margins
#   engine       prefill and decode of random weights in the geometry of V2-Lite's first 4 layers, and by transformers
#                where that is there with torch; needs python3 with numpy, 6 GB of memory and of disk
#   transformers the same weights against transformers, once that has reproduced the published values of golden A;
#                needs torch and transformers too
#
# A machine without network: --pack copies the stripped binaries of a build, the shared libraries that a bare machine may
# lack, models/nano and the Python tools into FOLDER (at most 64 MiB); this script in it then runs what lies beside it.
# Where the binaries are missing or do not start, the kernel tests and device_bench are built with nvcc alone
# (build_gpu_tests.sh); phases that need fathom itself are then skipped.
# Writes OUT/gpu_check.jsonl (one object a phase and case), OUT/gpu_check.json and OUT/gpu_check.md, logs beside them.
# What cannot run says so as "skipped" with the reason. Exit code 1 when a phase failed.
set -uo pipefail

readonly all_phases=(probe unit invariance sanitizer micro library demo engine transformers)
readonly limit_s=580
here=$(cd "$(dirname "$0")" && pwd)

pack() {
  local build=$1 folder=$2 binary library
  mkdir -p "$folder/bin" "$folder/lib" "$folder/tools" "$folder/models"
  for binary in fathom tests/kernels/kernels_cuda_test tests/engine/engine_cuda_test tests/kernels/device/device_bench; do
    [ -x "$build/$binary" ] || { echo "$build/$binary is missing: build with nvcc first" >&2; return 1; }
    cp "$build/$binary" "$folder/bin/" && strip "$folder/bin/$(basename "$binary")"
    # All but glibc and the compiler's runtime, which are the machine's own. The binaries look in ../lib first.
    ldd "$build/$binary" | awk '$3 ~ /^\// {print $3}' | grep -v -E '/(libc|libm|libdl|libpthread|librt|libstdc\+\+|libgcc_s)\.so' |
      while read -r library; do cp -Ln "$library" "$folder/lib/"; done
  done
  # Unpacked by the script: data tables of ICU alone are 30 MiB.
  tar -C "$folder" -czf "$folder/lib.tar.gz" lib && rm -r "$folder/lib"
  cp "$here/gpu_check.sh" "$folder/"
  cp -r "$here/make_checkpoint.py" "$here/check_transformers.py" "$here/compare_transformers.py" \
    "$here/time_transformers.py" "$here/reference" \
    "$here/goldens" "$folder/tools/"
  cp -r "$here/../models/nano" "$folder/models/"
  # For machines on which the binaries do not start (an older glibc): what build_gpu_tests.sh needs.
  mkdir -p "$folder/packed/include" "$folder/packed/googletest"
  cp -r /usr/include/fmt "$folder/packed/include/" && cp -r /usr/src/googletest/googletest/{include,src} "$folder/packed/googletest/" ||
    { echo "the headers of fmt and the sources of GoogleTest are missing: install libfmt-dev and googletest" >&2; return 1; }
  cp "$here/build_gpu_tests.sh" "$folder/tools/"
  (cd "$here/.." && tar -czf "$folder/source.tar.gz" base/*.{h,cc} kernels tests/kernels tests/space_under_test.h -C "$folder" packed)
  rm -r "$folder/packed"
  find "$folder" -name __pycache__ -prune -exec rm -rf {} +
  local mib
  mib=$(du -sm "$folder" | cut -f1)
  echo "$folder: $mib MiB"
  [ "$mib" -le 64 ] || { echo "more than 64 MiB" >&2; return 1; }
}

if [ "${1:-}" = --pack ]; then
  [ $# -eq 3 ] || { echo "usage: gpu_check.sh --pack BUILD FOLDER" >&2; exit 2; }
  pack "$2" "$3"
  exit
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Where things lie: beside this script in a packed folder, else in the build tree.
if [ -d "$here/bin" ]; then
  bin=$here/bin models=$here/models tools=$here/tools
  tar -C "$here" -xzf "$here/lib.tar.gz"
else
  bin=$here/../build/release models=$here/../models tools=$here
fi
out=gpu_check
phases=()
while [ $# -gt 0 ]; do
  case $1 in
    --bin) bin=$2 && shift 2 ;;
    --out) out=$2 && shift 2 ;;
    *) [[ " ${all_phases[*]} " == *" $1 "* ]] || { echo "no phase $1; there are: ${all_phases[*]}" >&2; exit 2; }
      phases+=("$1") && shift ;;
  esac
done
[ ${#phases[@]} -gt 0 ] || phases=("${all_phases[@]}")
mkdir -p "$out" && out=$(cd "$out" && pwd)

toolkit_only=
# Binaries that are missing, or made for a newer system, are built here as far as a CUDA toolkit alone can.
if ! "$bin/kernels_cuda_test" --help > /dev/null 2>&1 && ! "$bin/tests/kernels/kernels_cuda_test" --help > /dev/null 2>&1; then
  echo "no binaries that start here: building the kernel tests"
  source=$here/..
  [ -e "$here/source.tar.gz" ] && source=$scratch/source && mkdir "$source" && tar -C "$source" -xzf "$here/source.tar.gz"
  bash "$tools/build_gpu_tests.sh" "$source" "$out/bin" || exit 1
  bin=$out/bin toolkit_only=1
fi
jsonl=$out/gpu_check.jsonl
: > "$jsonl"

# The path of a binary of the build tree or the packed folder.
find_binary() {
  local path
  for path in "$bin/$1" "$bin/tests/kernels/$1" "$bin/tests/engine/$1" "$bin/tests/kernels/device/$1"; do
    [ -x "$path" ] && echo "$path" && return
  done
}

skip() { echo "skipped: $*"; return 77; }

# Runs a binary that says itself when there is no device.
device() {
  local path log=$scratch/device.log
  path=$(find_binary "$1") && [ -n "$path" ] || { echo "$1 is not there: build it, or say --bin" >&2; return 1; }
  shift
  "$path" "$@" 2>&1 | tee "$log"
  local status=${PIPESTATUS[0]}
  grep -q '^skipped: no CUDA device' "$log" && return 77
  return "$status"
}

phase_probe() {
  command -v nvidia-smi > /dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv
  device device_bench probe
}

phase_unit() {
  local status=0
  device kernels_cuda_test --gtest_brief=1 || status=$?
  [ $status -eq 77 ] && return 77
  [ -n "$toolkit_only" ] && { echo "the engine's golden values: not built with a CUDA toolkit alone"; return $status; }
  device engine_cuda_test --gtest_brief=1 || status=$?
  return $status
}

phase_invariance() { device device_bench invariance; }

phase_sanitizer() {
  local sanitizer tests tool
  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2> /dev/null) ||
    { skip "compute-sanitizer is not there"; return; }
  tests=$(find_binary kernels_cuda_test)
  device kernels_cuda_test --gtest_filter=Add.* --gtest_brief=1 || return
  local small='Linear.Nans*:ProductBf16.EveryKernel*:ExpertMlps.TheOrder*:Mla.WhatLies*:Route.Equal*:Sample.Draws*:LogSoftmaxGather.Equal*'
  small+=':TopLogprobs.*:RmsNorm.May*:WriteLatents.*:Rope.*:GatherRows.*:SiluMul.Nans*'
  for tool in memcheck racecheck initcheck synccheck; do
    echo "== $tool"
    timeout $((limit_s / 5)) "$sanitizer" --tool $tool --error-exitcode 9 "$tests" --gtest_filter="$small" --gtest_brief=1 || return 1
  done
}

phase_micro() { device device_bench micro; }

phase_library() { device device_bench library; }

# A fathom that computes on the GPU.
cuda_fathom() {
  printf '#!/bin/sh\ncommand=$1\nshift\ncase $command in run|logprobs|generate) exec "%s" "$command" --device cuda "$@" ;; esac\nexec "%s" "$command" "$@"\n' \
    "$1" "$1" > "$scratch/fathom-cuda"
  chmod +x "$scratch/fathom-cuda"
  # Exit code 5 is fathom's way to say that there is no device it can use.
  echo '{"id": 0, "ids": [1]}' | "$scratch/fathom-cuda" logprobs --model "$models/nano" --input - --output - > /dev/null 2> "$scratch/why"
  local status=$?
  [ $status -eq 0 ] && return
  cat "$scratch/why"
  [ $status -eq 5 ] && { skip "no CUDA device"; return; }
  return 1
}

phase_demo() {
  local fathom
  fathom=$(find_binary fathom)
  [ -n "$toolkit_only" ] && { skip "a CUDA toolkit alone does not build fathom"; return; }
  [ -n "$fathom" ] || { echo "fathom is not there: build it, or say --bin" >&2; return 1; }
  cuda_fathom "$fathom" || return
  compare_demo "$fathom" fp32 || return
  # Its exit code is 5 on a CPU without bf16 products.
  echo '{"id": 0, "ids": [1]}' | "$fathom" logprobs --compute bf16 --model "$models/nano" --input - --output - > /dev/null 2> "$scratch/why"
  case $? in
    0) compare_demo "$fathom" bf16 ;;
    5) cat "$scratch/why" && echo "bf16 was not compared" ;;
    *) cat "$scratch/why" && return 1 ;;
  esac
}

# Both devices' answers in one kind of arithmetic.
compare_demo() {
  local fathom=$1 compute=$2 which tasks=(demo_choice demo_cloze demo_math demo_needle)
  echo "== --compute $compute"
  for which in cpu cuda; do
    local program=$fathom db=$scratch/$which.$compute.db
    [ $which = cuda ] && program=$scratch/fathom-cuda
    "$program" run "${tasks[@]}" --compute "$compute" --model "$models/nano" --db "$db" --name $which ${GPU_CHECK_LIMIT:+--limit "$GPU_CHECK_LIMIT"} || return 1
    "$fathom" samples latest --db "$db" | sort > "$scratch/$which.jsonl"
  done
  "$fathom" compare 1 1 --db "$scratch/cpu.$compute.db" --cand-db "$scratch/cuda.$compute.db" --flips all
  command -v python3 > /dev/null || { skip "python3 is not there; answers were not counted"; return; }
  python3 - "$scratch/cpu.jsonl" "$scratch/cuda.jsonl" "$compute" << 'PYTHON'
import json, sys
def load(path):
    return {(s["task"], s["doc_id"]): s for s in map(json.loads, open(path))}
def margin(sample):
    best = sorted((x for x in sample.get("choice_logprobs") or [] if x is not None), reverse=True)
    return f"{best[0] - best[1]:.3g}" if len(best) > 1 else "not a choice"
cpu, cuda = load(sys.argv[1]), load(sys.argv[2])
assert cpu.keys() == cuda.keys(), "the two runs asked different questions"
flips = [k for k in cpu if (cpu[k]["answers"], cpu[k]["text"]) != (cuda[k]["answers"], cuda[k]["text"])]
for task, doc in flips:
    print(f"flip {task} {doc}: {cpu[task, doc]['answers']} -> {cuda[task, doc]['answers']}, margin {margin(cpu[task, doc])}")
equal = 1 - len(flips) / len(cpu)
print(json.dumps({"phase": "demo", "compute": sys.argv[3], "samples": len(cpu), "flips": len(flips), "equal": round(equal, 5)}))
sys.exit(0 if cpu and equal >= 0.99 else 1)
PYTHON
}

# A checkpoint of random weights, made once; its path in $checkpoint.
make_checkpoint() {
  checkpoint=$scratch/$1
  [ -e "$checkpoint/config.json" ] || python3 "$tools/make_checkpoint.py" "$1" "$checkpoint" --tokenizer "$models/nano"
}

phase_engine() {
  local fathom
  fathom=$(find_binary fathom)
  [ -n "$toolkit_only" ] && { skip "a CUDA toolkit alone does not build fathom"; return; }
  [ -n "$fathom" ] || { echo "fathom is not there: build it, or say --bin" >&2; return 1; }
  cuda_fathom "$fathom" || return
  python3 -c 'import numpy' 2> /dev/null || { skip "python3 with numpy is not there"; return; }
  make_checkpoint lite4 || return 1
  local options
  for options in "--compute fp32" "--compute bf16" "--compute bf16 --verify-kernels"; do
    echo "== $options"
    # shellcheck disable=SC2086
    "$fathom" bench prefill --device cuda $options --model "$checkpoint" --sizes 64,2048 --repeats 3 &&
      "$fathom" bench decode --device cuda $options --model "$checkpoint" --sizes 1,64 --repeats 3 || return 1
  done
  if python3 -c 'import torch, transformers; assert torch.cuda.is_available()' 2> /dev/null; then
    python3 "$tools/time_transformers.py" "$checkpoint" --device cuda || return 1
  fi
}

phase_transformers() {
  local fathom checkpoint
  fathom=$(find_binary fathom)
  [ -n "$toolkit_only" ] && { skip "a CUDA toolkit alone does not build fathom"; return; }
  [ -n "$fathom" ] || { echo "fathom is not there: build it, or say --bin" >&2; return 1; }
  cuda_fathom "$fathom" || return
  python3 -c 'import numpy, torch, transformers' 2> /dev/null || { skip "python3 with numpy, torch and transformers is not there"; return; }
  python3 "$tools/check_transformers.py" || return 1
  local preset
  for preset in tiny lite4; do
    make_checkpoint $preset || return 1
    python3 "$tools/compare_transformers.py" "$checkpoint" --fathom "$scratch/fathom-cuda" || return 1
  done
}

# JSON string of a line.
quoted() { sed 's/\\/\\\\/g; s/"/\\"/g; s/\t/ /g; 1s/^/"/; 1s/$/"/' <<< "$1"; }

failed=0
rows=()
for phase in "${phases[@]}"; do
  echo "=== $phase"
  start=$SECONDS
  log=$out/$phase.log
  export -f "phase_$phase" device find_binary skip cuda_fathom compare_demo make_checkpoint
  export bin models tools scratch limit_s toolkit_only
  timeout $limit_s bash -c "set -uo pipefail; phase_$phase" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  case $status in
    0) result=passed detail= ;;
    77) result=skipped detail=$(grep '^skipped: ' "$log" | tail -1) ;;
    124) result=failed detail="longer than $limit_s s" ;;
    *) result=failed detail="exit code $status: $(tail -1 "$log")" ;;
  esac
  [ $result = failed ] && failed=1
  grep '^{"phase": ' "$log" >> "$jsonl"
  echo "{\"phase\": \"$phase\", \"result\": \"$result\", \"seconds\": $((SECONDS - start)), \"detail\": $(quoted "${detail:0:300}")}" >> "$jsonl"
  rows+=("| $phase | $result | $((SECONDS - start)) | ${detail//|/ } |")
done

{ echo "[" && sed '$!s/$/,/' "$jsonl" && echo "]"; } > "$out/gpu_check.json"
{
  echo "# GPU check, $(date -u +%Y-%m-%d)"
  echo
  echo "| phase | result | seconds | detail |"
  echo "| --- | --- | --- | --- |"
  printf '%s\n' "${rows[@]}"
  if grep -q '^{"phase": "\(probe\|micro\|library\|invariance\|demo\)", "\(device\|case\|compute\)"' "$jsonl"; then
    printf '\nFigures:\n\n```\n'
    grep -v '"result"' "$jsonl"
    echo '```'
  fi
} > "$out/gpu_check.md"
echo
cat "$out/gpu_check.md"
exit $failed
