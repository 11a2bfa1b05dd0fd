#!/usr/bin/env bash
# All checks that need a GPU, in one call of about ten minutes; a short table last. What tells most
# comes first, and each benchmark's result is written as it ends, into $OUT where that is set.
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
  local name="$1"; shift
  local started=$SECONDS
  if timeout "${LIMIT:-150}" "$@"; then result=passed; else result="FAILED ($?)"; fi
  summary+=("$(printf '%-16s %-12s %4d s' "$name" "$result" $((SECONDS - started)))")
}

bench() {
  local name="$1"; shift
  check "$name" "$python" "benchmarks/$name.py" $quick --device "$device" --results "$results" "$@"
}

check doctor "$python" -m lacewing doctor
bench plan_speed --batch 64 --image-size 224 --rounds 10 --plan-budget 10s \
  --models resnet50 mobilenetv2_100 convnext_atto
bench pixels --images 512 --image-size 224 --batch 64 --epochs 3 --model mobilenetv2_100
bench plan_accuracy --models resnet18 resnet50 --sizes 224
bench oom_sweep --jobs "${JOBS:-4}"
check backends "$python" -m pytest -q tests/contract/test_backends.py

printf '\n%s\n' "${summary[@]}"
case "${summary[*]}" in *FAILED*) exit 1 ;; esac
