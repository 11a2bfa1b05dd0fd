#!/usr/bin/env bash
# All checks that need a GPU, in one call of ten minutes at most: each has a limit in seconds. A
# short table last. What tells most comes first, and each benchmark's result is written as it ends,
# into $OUT where that is set.
#   benchmarks/gpu/run.sh [--quick] [device]
set -uo pipefail
cd "$(dirname "$0")/../.."
quick=""
if [ "${1:-}" = "--quick" ]; then quick="--quick"; shift; fi
device="${1:-cuda}"
python="${PYTHON:-python}"
results="${OUT:-benchmarks/results}"
summary=()

check() {
  local limit="$1" name="$2"; shift 2
  local started=$SECONDS
  if timeout "$limit" "$@"; then result=passed; else result="FAILED ($?)"; fi
  summary+=("$(printf '%-16s %-12s %4d s' "$name" "$result" $((SECONDS - started)))")
}

bench() {
  local limit="$1" name="$2"; shift 2
  check "$limit" "$name" "$python" "benchmarks/$name.py" $quick --device "$device" --results "$results" "$@"
}

check 30 doctor "$python" -m lacewing doctor
# the first network's trial has time to compile, and its run is long enough for that to pay
bench 300 plan_speed --batch 64 --image-size 224 --rounds 10 --epochs 100000 \
  --plan-budget 120s 10s --models resnet50 mobilenetv2_100 convnext_atto
bench 75 pixels --images 512 --image-size 224 --batch 64 --epochs 3 --model mobilenetv2_100
bench 60 plan_accuracy --models resnet50 --sizes 224
bench 90 oom_sweep --jobs "${JOBS:-3}"
check 40 backends "$python" -m pytest -q tests/contract/test_backends.py

printf '\n%s\n' "${summary[@]}"
case "${summary[*]}" in *FAILED*) exit 1 ;; esac
