"""How long a waiting thread spins before it sleeps: what a training step takes, by that.

Each step runs in a process of its own (the OpenMP library reads its settings when it loads), on
all usable cores, first alone and then beside processes that keep a core busy each. Libraries of
GNU (torch for Linux) count turns of a loop, GOMP_SPINCOUNT; lacewing's count is in
`lacewing.hardware.waiting`.

    python benchmarks/wait_policy.py [--model NAME ...] [--quick]
"""

import multiprocessing
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from apart import Apart
from common import interleaved, machine_facts, parser, print_table, summary, write_result

TURNS = (1_000, 3_000, 6_000, 10_000)
POLICIES: dict[str, dict[str, str]] = {
    "asleep": {"OMP_WAIT_POLICY": "passive"},
    **{
        f"{turns:,} turns": {"GOMP_SPINCOUNT": str(turns)}
        for turns in (1_000, 3_000, 6_000, 10_000)
    },
    "torch's own": {},
}


def spin() -> None:
    """A neighbour: keeps one core busy."""
    while True:
        pass


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many busy processes, for the time of the block."""
    processes = [multiprocessing.Process(target=spin, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def measure(words: list[str], busy: int, rounds: int, warm_up: int) -> dict[str, list[float]]:
    """Seconds of a step under each policy, in alternation, beside `busy` neighbours."""
    with ExitStack() as stack:
        calls = {
            name: stack.enter_context(Apart("plain_loop.py", words, policy)).call
            for name, policy in POLICIES.items()
        }
        stack.enter_context(neighbours(busy))
        return interleaved(calls, rounds, warm_up)


def main() -> None:
    """Measure, print the tables, write the result."""
    options = parser(__doc__)
    options.add_argument("--model", nargs="+", default=["resnet18", "mobilenetv2_100"])
    chosen = options.parse_args()
    models, side, batch, rounds = (chosen.model, 128, 16, 15)
    if chosen.quick:
        models, side, batch, rounds = (["test_resnet"], 64, 4, 3)
    facts = machine_facts()
    figures: dict[str, dict[str, dict[str, Any]]] = {}
    for model in models:
        words = [model, str(side), str(batch), "cpu"]
        rows, figures[model] = [], {}
        for busy in (0, 1, 2):
            seconds = measure(words, busy, rounds, warm_up=2)
            found = {policy: summary(seconds[policy]) for policy in POLICIES}
            figures[model][f"{busy}_neighbours"] = found
            rows.append((busy, *(found[policy]["median"] for policy in POLICIES)))
        print_table((f"{model}, busy neighbours", *(f"{way}, s/step" for way in POLICIES)), rows)
    setting = {"image_size": side, "batch": batch, "quick": chosen.quick}
    path = write_result("wait_policy", facts, {"setting": setting, **figures}, chosen.results)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
