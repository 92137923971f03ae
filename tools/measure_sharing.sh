#!/usr/bin/env bash
# What sharing saves: tokens asked and computed, and time, of three workloads, each computed alone and shared,
# with a check that every stored sample is the same.
# usage: tools/measure_sharing.sh FATHOM CHECKPOINT DATA
set -euo pipefail
fathom=$1 checkpoint=$2 data=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

measure() {
  local name=$1 schedule
  shift
  for schedule in alone shared; do
    "$fathom" run "$@" --schedule $schedule --model "$checkpoint" --data "$data" --db "$folder/$name-$schedule.db" \
      --name "$name-$schedule" 2>&1 | grep '^[0-9]* samples in' | sed "s/^/$name, $schedule: /"
    "$fathom" samples latest --db "$folder/$name-$schedule.db" | sort > "$folder/$name-$schedule.jsonl"
  done
  cmp "$folder/$name-alone.jsonl" "$folder/$name-shared.jsonl" && echo "$name: samples equal"
}

measure mmlu mmlu_abstract_algebra mmlu_anatomy
measure gsm8k gsm8k_deepseek --limit 64 --max-new-tokens 48
measure needle needle --lengths 1000,2000,4000,8000 --depths 0,9,18,27,36,45,55,64,73,82,91,100 --max-new-tokens 16
