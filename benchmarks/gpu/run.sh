#!/usr/bin/env bash
# All checks that need a GPU, in one call of about ten minutes; a short table last.
#   benchmarks/gpu/run.sh [--quick] [device]
set -uo pipefail
cd "$(dirname "$0")/../.."
quick=""
if [ "${1:-}" = "--quick" ]; then quick="--quick"; shift; fi
device="${1:-cuda}"
python="${PYTHON:-python}"
summary=()

check() {
  local name="$1"; shift
  local started=$SECONDS
  if timeout "${LIMIT:-240}" "$@"; then result=passed; else result="FAILED ($?)"; fi
  summary+=("$(printf '%-16s %-12s %4d s' "$name" "$result" $((SECONDS - started)))")
}

check doctor "$python" -m lacewing doctor
check backends "$python" -m pytest -q tests/contract/test_backends.py
check plan_speed "$python" benchmarks/plan_speed.py $quick --device "$device" \
  --batch 64 --image-size 224 --rounds 10 --plan-budget 10s
check plan_accuracy "$python" benchmarks/plan_accuracy.py $quick --device "$device" \
  --models resnet18 resnet50 --sizes 128 224
check pixels "$python" benchmarks/pixels.py --quick --device "$device"
check oom_sweep "$python" benchmarks/oom_sweep.py $quick --device "$device" --jobs "${JOBS:-12}"

printf '\n%s\n' "${summary[@]}"
case "${summary[*]}" in *FAILED*) exit 1 ;; esac
