"""What it costs to get memory again that was just freed: plain PyTorch steps on the CPU.

The same plain loop (plain_loop.py) under the C library's own settings, and with freed memory kept
(`lacewing.hardware.allocator`): training steps, and forward passes over larger images. Each runs
in a process of its own, in turns.

    python benchmarks/allocator.py [--quick] [--model NAME ...]
"""

from contextlib import ExitStack
from statistics import median
from typing import Any

from apart import Apart
from common import interleaved, machine_facts, parser, print_table, summary, write_result
from lacewing.hardware.allocator import SETTINGS

MODELS = ("resnet18", "resnet50", "densenet121", "regnety_002", "convnext_atto",
          "mobilenetv2_100", "efficientnet_b0", "tf_efficientnet_lite0")  # fmt: skip
WAYS: dict[str, dict[str, str]] = {"the library's own": {}, "kept": SETTINGS}


def compare(words: list[str], rounds: int) -> dict[str, Any]:
    """Seconds and peak bytes of each way."""
    with ExitStack() as stack:
        apart = {
            way: stack.enter_context(Apart("plain_loop.py", words, settings))
            for way, settings in WAYS.items()
        }
        seconds = interleaved({way: one.call for way, one in apart.items()}, rounds, warm_up=2)
        peaks = {way: one.peak_bytes() for way, one in apart.items()}
    own, kept = (median(seconds[way]) for way in WAYS)
    return {
        "seconds": {way: summary(seconds[way]) for way in WAYS},
        "peak_bytes": peaks,
        "times_as_fast": own / kept,
    }


def main() -> None:
    """Measure, print the table, write the result."""
    options = parser(__doc__)
    options.add_argument("--model", nargs="+", default=MODELS)
    given = options.parse_args()
    models, rounds = (["test_resnet"], 3) if given.quick else (given.model, 9)
    facts = machine_facts()
    found: dict[str, dict[str, Any]] = {}
    rows = []
    for model in models:
        for kind, words in (
            ("training, 16 x 128 px", [model, "128", "16", "cpu"]),
            ("forward, 32 x 256 px", [model, "256", "32", "cpu", "forward"]),
        ):
            one = found[f"{model}, {kind}"] = compare(words, rounds)
            own, kept = (one["peak_bytes"][way] / 2**20 for way in WAYS)
            rows.append((model, kind, one["times_as_fast"], own, kept))
            print(*rows[-1], flush=True)
    print_table(("network", "pass", "times as fast", "peak MiB", "peak MiB, kept"), rows)
    print(f"written to {write_result('allocator', facts, {'rows': found}, given.results)}")


if __name__ == "__main__":
    main()
