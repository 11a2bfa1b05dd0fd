"""What checkpoints within an epoch cost: their share of the time, where they are always due.

    python benchmarks/checkpoint_cost.py [--quick] [--model mobilenetv2_100] [--epochs 2]

With --checkpoint-seconds at a millisecond only their own cost holds them back. Counted are the
copy in the training thread and the seconds of processor time of the thread that writes.
"""

import os
import shutil
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from common import machine_facts, parser, write_result
from lacewing.config import TrainConfig
from lacewing.training.begin import begin
from lacewing.training.loop import train
from lacewing.training.setup import prepare
from lacewing.training.state import Snapshot


def main() -> None:
    """Train, add up what each checkpoint took, write the result."""
    words = parser(__doc__)
    words.add_argument("--model", default="mobilenetv2_100")
    words.add_argument("--epochs", type=int, default=2)
    given = words.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="checkpoints-"))
    os.environ["LACEWING_CACHE"] = str(folder / "cache")
    config = TrainConfig(
        data="sample",
        model="test_resnet" if given.quick else given.model,
        pretrained=False,
        epochs=1 if given.quick else given.epochs,
        batch_size=16,
        device="cpu",
        trial=False,
        tensorboard=False,
        output=folder,
        checkpoint_seconds=0.001,
    )
    session = begin(prepare(config))
    keeper, costs = session.keeper, []
    real = keeper.keep

    def keep(snapshot: Snapshot, copy_seconds: float = 0.0) -> None:
        keeper.wait()
        costs.append((snapshot.plain["progress"]["step_in_epoch"], keeper.cost_seconds))
        real(snapshot, copy_seconds)

    keeper.keep = keep  # type: ignore[method-assign]
    started = time.perf_counter()
    train(session)
    seconds = time.perf_counter() - started
    # each entry holds what the one before it took
    within = [after[1] for before, after in pairwise(costs) if before[0]]
    share = sum(within) / seconds
    print(f"{len(within)} checkpoints within epochs took {sum(within):.2f} s of {seconds:.1f} s: "
          f"{share:.2%}")  # fmt: skip
    if not given.quick:
        result = {"model": config.model, "seconds": seconds, "share": share, "costs": within}
        print(write_result("checkpoint_cost", machine_facts(), result, given.results))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
