"""In which precision the feature pass runs fastest on this machine: timed, as the trial times.

Before there is any training step to be timed, since the features come first and may be all.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn

from lacewing.config import TrainConfig
from lacewing.engine.losses import make_loss
from lacewing.engine.optimizers import OPTIMIZERS, make_optimizer
from lacewing.hardware.backend import Backend
from lacewing.planning.plan import Plan
from lacewing.planning.rules.batch import eval_batch_within
from lacewing.planning.rules.device import find_device
from lacewing.planning.trial.bench import Bench, left_as_it_was
from lacewing.planning.trial.findings import of_lanes
from lacewing.planning.trial.passes import FULL, guarded
from lacewing.planning.trial.race import Lane, race, winner
from lacewing.planning.trial.refine import chosen
from lacewing.planning.trial.ways import Way, forward_ways
from lacewing.training.recipe.forward_history import key_of, recall, remember
from lacewing.training.recipe.size import Speed
from lacewing.training.recipe.speed import noise
from lacewing.training.setup import Prepared

CPU_IMAGES = 8
"""Of a timed pass on a CPU, where the rate hardly depends on them; elsewhere the plan's."""
ROUNDS = 2


def fastest_forward(
    make_model: Callable[[], nn.Module],
    prepared: Prepared,
    backend: Backend,
    index: int,
    size: int,
) -> tuple[Plan, Speed | None]:
    """The plan with the fastest precision of forward-only passes, and their speed.

    What an earlier plan found on this machine stands: then no network is made. The speed is None
    where no pass could be timed; the plan is then as it was.
    """
    plan = prepared.plan
    ways = ways_of(prepared, backend, size)
    key = question_of(prepared, ways, size)
    known = recall(key)
    lanes = known or raced(make_model(), prepared, ways, backend, index, size)
    best = winner(lanes)
    if best is None or best.median is None:
        return plan, None
    if not known and all(lane.out != FULL for lane in lanes):
        remember(key, lanes)  # what another program's memory put out may race the next time
    timed = of_lanes(lanes)
    fastest = timed[lanes.index(best)]
    precision = chosen(plan.eval_precision, best.key.precision, fastest, timed)
    speed = Speed(size, best.key.images / best.median, remembered=bool(known))
    return replace(plan, eval_precision=precision), speed


def ways_of(prepared: Prepared, backend: Backend, size: int) -> list[Way]:
    """Those that race, with the images of their passes."""
    plan, images = prepared.plan, images_of(prepared.plan, backend, size)
    device = find_device(prepared.machine, plan.device.value)
    ways = forward_ways(plan, prepared.config, device, backend.capabilities)
    return [replace(way, images=images) for way in ways if is_laid_out(way, plan)]


def question_of(prepared: Prepared, ways: Sequence[Way], size: int) -> str:
    """The name under which the race is remembered."""
    plan, config = prepared.plan, prepared.config
    network = prepared.info.name, len(prepared.index.classes), size
    how = f"weights {plan.memory_format.value}, deterministic {config.deterministic}"
    return key_of(prepared.machine, plan.device.value, network, ways, how)


def raced(
    model: nn.Module,
    prepared: Prepared,
    ways: Sequence[Way],
    backend: Backend,
    index: int,
    size: int,
) -> list[Lane[Way]]:
    """The ways, timed in turn."""
    plan, config = prepared.plan, prepared.config
    with left_as_it_was(backend, index):
        bench = bench_of(model, plan, config, backend, index, size)
        return race(ways, lambda way: seconds_of(bench, way, plan), rounds=ROUNDS)


def is_laid_out(way: Way, plan: Plan) -> bool:
    """Whether the way's images lie in memory as the plan has them: the weights do so too."""
    return way.memory_format == plan.eval_memory_format.value


def seconds_of(bench: Bench, way: Way, plan: Plan) -> float | str:
    """Of one pass, or why it failed."""
    found = guarded(bench, lambda: bench.forward(way, plan.memory_format.value))
    return found if isinstance(found, str) else found.seconds


def images_of(plan: Plan, backend: Backend, size: int) -> int:
    """Images of a timed pass."""
    usual = eval_batch_within(plan.eval_batch, size, plan.memory_bytes.value).value
    return min(CPU_IMAGES, usual) if backend.kind == "cpu" else usual


def bench_of(
    model: nn.Module, plan: Plan, config: TrainConfig, backend: Backend, index: int, size: int
) -> Bench:
    """The network before images of noise."""
    images = images_of(plan, backend, size)
    device = backend.torch_device(index)
    return Bench(
        model=model,
        make_optimizer=lambda network, kernel: make_optimizer(
            OPTIMIZERS["sgd"], network, 0.0, 0.0, kernel=kernel
        ),
        loss=make_loss(),
        images=noise(images, size, device),
        labels=torch.zeros(images, dtype=torch.int64, device=device),
        backend=backend,
        index=index,
        clock=time.perf_counter,
        deterministic=config.deterministic,
    )
