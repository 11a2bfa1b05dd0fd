#!/usr/bin/env bash
# All checks that need a GPU, in one call of ten minutes at most: each has a limit in seconds, and
# what a check leaves of it the later ones may take. A short table last. What tells most comes
# first, and each benchmark writes its result as figures come, into $OUT where that is set.
#   benchmarks/gpu/run.sh [--quick] [device]
set -uo pipefail
cd "$(dirname "$0")/../.."
quick=""
if [ "${1:-}" = "--quick" ]; then quick="--quick"; shift; fi
device="${1:-cuda}"
python="${PYTHON:-$(command -v python3 || command -v python)}"
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1 # what a check has said is there when its time is up
results="${OUT:-benchmarks/results}"
summary=()
granted=0

check() {
  local name="$2" started=$SECONDS
  granted=$((granted + $1)); shift 2
  if timeout -k 5 $((granted - SECONDS)) "$@"; then result=passed; else result="FAILED ($?)"; fi
  summary+=("$(printf '%-16s %-12s %4d s' "$name" "$result" $((SECONDS - started)))")
}

bench() {
  local limit="$1" name="$2"; shift 2
  check "$limit" "$name" "$python" "benchmarks/$name.py" $quick --device "$device" --results "$results" "$@"
}

df -h /dev/shm # ImageFolder's processes pass batches through it
check 55 doctor "$python" -m lacewing doctor
check 25 sample "$python" -c 'from lacewing.data.open import open_images
from lacewing.data.sample import draw_sample
open_images("sample", draw_sample=draw_sample)'
# each run is long enough for compiling to pay. At 32 images a step the card waits for the next
# kernel, where CUDA graphs may help; at 256 it is full, which is what speed and memory are claimed
# for. Races and weighing may take 0.7 of a trial: what is left is enough for graphs, and for
# resnet50 to make kernels too
bench 265 plan_speed --batch 256 --image-size 224 --rounds 10 --epochs 100000 \
  --plan-budget 55s 150s --models mobilenetv2_100:32 resnet50
bench 70 pixels --model mobilenetv2_100
bench 50 plan_accuracy --models resnet50 --sizes 224
bench 50 small_cards --models resnet50 --caps 2 4
bench 45 oom_sweep --jobs "${JOBS:-1}"
kernels=""
case "$device" in cuda*) kernels=tests/unit/data/kernel_pixels.py ;; esac
# warnings of other versions than those that the tests are kept clean with are no failures here
check 35 backends "$python" -m pytest -q -W default tests/contract/test_backends.py $kernels

printf '\n'; printf '%s\n' "${summary[@]}"
case "${summary[*]}" in *FAILED*) exit 1 ;; esac
