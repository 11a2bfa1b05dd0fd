"""OMP_WAIT_POLICY: a training step with waiting threads asleep (passive) or spinning (active).

Each step runs in a process of its own (the policy is read when the OpenMP library loads), on
all usable cores, first alone and then beside two processes that keep a core busy each.

    python benchmarks/wait_policy.py [--quick]
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from common import interleaved, machine_facts, parser, print_table, summary, write_result

POLICIES = ("passive", "active")
STEP = """
import sys, time, torch, timm
model_name, side, batch, threads = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(threads)
torch.manual_seed(0)
model = timm.create_model(model_name, num_classes=10)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
images, labels = torch.randn(batch, 3, side, side), torch.randint(10, (batch,))
for _ in sys.stdin:
    start = time.perf_counter()
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()
    print(time.perf_counter() - start, flush=True)
"""


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


class Stepper:
    """A process that makes one training step each time it is asked."""

    def __init__(self, policy: str, words: list[str]) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("OMP_")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", STEP, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**inherited, "OMP_WAIT_POLICY": policy},
        )
        self.seconds: list[float] = []

    def step(self) -> None:
        """One step; its seconds, measured inside, are added to `seconds`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.seconds.append(float(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def measure(words: list[str], busy: int, rounds: int, warm_up: int) -> dict[str, list[float]]:
    """Seconds of a step under each policy, in alternation, beside `busy` neighbours."""
    steppers = {policy: Stepper(policy, words) for policy in POLICIES}
    try:
        with neighbours(busy):
            interleaved({p: s.step for p, s in steppers.items()}, rounds, warm_up)
    finally:
        for stepper in steppers.values():
            stepper.close()
    return {policy: stepper.seconds[warm_up:] for policy, stepper in steppers.items()}


def main() -> None:
    """Measure, print the table, write the result."""
    options = parser(__doc__)
    options.add_argument("--model", default="resnet18")
    chosen = options.parse_args()
    model, side, batch, rounds = (chosen.model, 128, 16, 15)
    if chosen.quick:
        model, side, batch, rounds = "test_resnet", 64, 4, 3
    facts = machine_facts()
    words = [model, str(side), str(batch), str(facts["cores"])]
    rows, figures = [], {}
    for busy in (0, 2):
        seconds = measure(words, busy, rounds, warm_up=2)
        found = {policy: summary(seconds[policy]) for policy in POLICIES}
        ratio = found["active"]["median"] / found["passive"]["median"]
        figures[f"{busy}_neighbours"] = {**found, "active_over_passive": ratio}
        medians = [found[policy]["median"] for policy in POLICIES]
        rows.append((busy, *medians, ratio))
    print_table(("busy neighbours", "passive, s/step", "active, s/step", "active/passive"), rows)
    setting = {"model": model, "image_size": side, "batch": batch, "quick": chosen.quick}
    path = write_result("wait_policy", facts, {"setting": setting, **figures}, chosen.results)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
