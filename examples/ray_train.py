"""Train with lacewing as a function of Ray Train's TorchTrainer.

    pip install "ray[train]" .
    python examples/ray_train.py PHOTOS --workers 2

Ray starts the workers, sets RANK, WORLD_SIZE and the like, and opens torch's process group;
lacewing joins it and leaves it as it is. The run folder must lie on storage that the first worker
keeps, or that all share if Ray may start it anew elsewhere.
"""

import argparse
from typing import Any


def train_one_worker(settings: dict[str, Any]) -> dict[str, Any]:
    """What each worker runs: the fields of `lacewing.train`, and where the run ended."""
    import lacewing

    run = lacewing.train(**{"resume": "auto", **settings})
    return {"folder": str(run.folder), "finished": run.finished, "accuracy": run.accuracy}


def loop(settings: dict[str, Any]) -> None:
    """The same, reported to Ray."""
    from ray import train

    train.report(train_one_worker(settings))


def main() -> None:
    """Start the workers."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--output", default="/mnt/shared/runs")
    given = parser.parse_args()
    trainer = TorchTrainer(
        loop,
        train_loop_config={"data": given.data, "output": given.output, "name": "ray"},
        scaling_config=ScalingConfig(num_workers=given.workers, use_gpu=given.gpu),
        run_config=RunConfig(failure_config=FailureConfig(max_failures=3)),
    )
    print(trainer.fit().metrics)  # noqa: T201


if __name__ == "__main__":
    main()
