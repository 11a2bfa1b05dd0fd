"""Session: a plan turned into objects that are ready to train."""

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lacewing.config import TrainConfig
from lacewing.data.eval_loader import EvalLoader
from lacewing.data.index import ImageIndex
from lacewing.data.kernel_fault import kernel_fault
from lacewing.data.pixels import PixelStore
from lacewing.data.preprocess import Preprocessing
from lacewing.data.train_loader import TrainLoader
from lacewing.engine.average import Average
from lacewing.engine.execution import GRAPH_MODES
from lacewing.engine.losses import Loss
from lacewing.engine.norms import synchronise_norms
from lacewing.engine.prepare import compile_model, prepare_model
from lacewing.engine.rounds import Rounds
from lacewing.engine.schedules import Schedule, make_schedule
from lacewing.engine.step import NormKeeper
from lacewing.hardware.backend import Backend, BackendTable
from lacewing.hardware.backends import BACKENDS, backend_for
from lacewing.hardware.ranks import Ranks
from lacewing.models.build import (
    build_model,
    describe_fit,
    preprocessing_for,
)
from lacewing.models.catalog import ModelInfo
from lacewing.models.mirrored import Mirrored
from lacewing.models.weights import Weights
from lacewing.planning.growth import sides_of
from lacewing.planning.learning import loss_of, optimizer_of
from lacewing.planning.loaders import decoding_of, keep_for_evaluation, loading_of, train_loader
from lacewing.planning.plan import Plan
from lacewing.planning.processes import synchronises
from lacewing.store.run import Run
from lacewing.training.distributed import Team
from lacewing.training.events import EventLog
from lacewing.training.state import Progress
from lacewing.training.writer import Keeper

if TYPE_CHECKING:
    from lacewing.training.recipe.closing import Closing


@dataclass
class Session:
    """Everything the loop needs; made by `open_session`."""

    run: Run
    config: TrainConfig
    plan: Plan
    info: ModelInfo
    index: ImageIndex
    backend: Backend
    device_index: int
    model: nn.Module
    forward: nn.Module
    """The model, or its compiled form; both share their weights."""
    preprocessing: Preprocessing
    loss: Loss
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    schedule: Schedule
    train_loader: TrainLoader
    val_loader: EvalLoader
    events: EventLog
    progress: Progress
    norms: NormKeeper
    """BatchNorm's statistics before the running step."""
    team: Team
    """The processes that train together; of one, for most runs."""
    rounds: Rounds
    """What they tell each other within a step."""
    average: Average | None = None
    """What is judged and kept in the place of the weights, where it is asked for."""
    best_weights: dict[str, torch.Tensor] | None = None
    """The best epoch's weights, where the configuration keeps them out of the run folder."""
    start_weights: dict[str, torch.Tensor] | None = None
    """What a recipe's fine-tuning started from, for the mean of before and after."""
    mirror: bool = False
    """Whether the finished model sees mirror images too; settled at the end of the run."""
    began: float = field(default_factory=time.perf_counter)
    """When the run's time began to count, as if earlier sessions had gone just before this one;
    on the clock of `time.perf_counter`."""
    deadline: float = math.inf
    """When training must have ended, on the same clock."""
    closing: "Closing | None" = None
    """What comes after the last step, in seconds, once that is measured."""
    waiting_rows: list[dict[str, Any]] = field(default_factory=list)
    """Epochs' rows that the disk has refused so far."""
    keeper: Keeper = field(init=False)
    """Snapshots of the run, in memory and on the disk."""

    def __post_init__(self) -> None:
        config = self.config
        every = config.checkpoint_seconds if self.team.leads else math.inf
        self.keeper = Keeper(self.run, self.events, every, config.save_checkpoints)

    @property
    def finished(self) -> nn.Module:
        """The network as it is judged and handed over in the end."""
        return Mirrored(self.model) if self.mirror else self.model


def open_session(
    run: Run,
    config: TrainConfig,
    plan: Plan,
    index: ImageIndex,
    info: ModelInfo,
    weights: Weights | None,
    events: EventLog,
    backends: BackendTable = BACKENDS,
    team: Team = Team(),  # noqa: B008 (frozen)
    preprocessing: Preprocessing | None = None,
    *,
    trains: bool = True,
) -> Session:
    """Build the network, the optimiser, the schedule and the loaders that the plan says.

    `preprocessing` is of validation; that of the weights or of the network if not given. `trains`
    is False where only the first stage of a recipe is to come: it looks at each training image
    once, so none is kept, and no file is reserved for them.
    """
    backend, device_index = backend_for(plan.device.value, backends)
    execution = plan.execution
    if execution.compile_mode in GRAPH_MODES and plan.accumulation.value > 1:
        events.add("compile", "CUDA graphs hold one pass, and a step has several: not compiled")
    backend.configure(execution.precision, plan.threads.value, config.deterministic)
    limit_memory(backend, device_index, plan, events)
    backend.seed(config.seed)
    device = backend.torch_device(device_index)
    size = config.eval_size or plan.image_size.value
    model = build_model(info, len(index.classes), config.dropout, weights, size)
    if weights is not None:
        fit = describe_fit(info, len(index.classes), weights, size)
        events.add("weights", fit)
    rounds = Rounds(team.everyone)
    if synchronises(plan, config, team.ranks):
        synchronise_norms(model, rounds)
    model = prepare_model(model, execution, device)
    preprocessing = preprocessing or preprocessing_for(info, size, weights)
    train_loader, val_loader = open_loaders(
        config, plan, index, preprocessing, device, events, team.ranks,
        sides_of(config, info, plan.image_size.value), plan.pixels.value if trains else "none",
    )  # fmt: skip
    return Session(
        run=run,
        config=config,
        plan=plan,
        info=info,
        index=index,
        backend=backend,
        device_index=device_index,
        model=model,
        forward=compile_model(
            model, execution.compile_mode, lambda text: events.add("compile", text)
        ),
        preprocessing=preprocessing,
        loss=loss_of(config, index, device),
        optimizer=optimizer_of(config, model, plan.learning_rate.value, execution.optimizer_kernel),
        scaler=backend.grad_scaler(execution.precision),
        schedule=make_schedule(
            config.scheduler,
            steps_per_epoch=train_loader.steps_per_epoch,
            epochs=config.epochs,
            warmup_epochs=config.warmup_epochs,
            step_epochs=config.step_epochs,
            gamma=config.gamma,
        ),
        train_loader=train_loader,
        val_loader=val_loader,
        events=events,
        progress=Progress(micro_batch=execution.micro_batch),
        norms=NormKeeper(model),
        team=team,
        rounds=rounds,
        average=Average(model, config.ema) if config.ema else None,
    )


def open_loaders(
    config: TrainConfig,
    plan: Plan,
    index: ImageIndex,
    preprocessing: Preprocessing,
    device: torch.device,
    events: EventLog,
    ranks: Ranks,
    sides: tuple[int, ...],
    keep: str,
) -> tuple[TrainLoader, EvalLoader]:
    """The training and the validation split on their way to the device.

    `preprocessing` is that of validation; training may see smaller images (`eval_size`), in
    each epoch of the side in `sides` if there are any. They are kept at the largest, where `keep`
    says.
    """

    def store(split: ImageIndex, size: int, keep: str) -> PixelStore:
        return PixelStore(
            split,
            replace(preprocessing, image_size=size),
            keep=keep,
            on_lost=lambda image: tell_lost(events, image),
            on_event=lambda sentence: events.add("pixels", sentence),
        )

    training, validation = index.split("train"), index.split("val")
    loading = loading_of(plan, device)
    fault = kernel_fault(device) if loading.by_kernel else None
    if fault is not None:  # the trial found none: on another machine, or of other versions
        events.add("pixels", f"images are varied by tensor operations, not by kernels: {fault}")
        loading = replace(loading, by_kernel=False)
    return (
        train_loader(
            config,
            training,
            store(training, plan.image_size.value, keep),
            plan.batch.value,
            loading,
            ranks,
            sides,
        ),
        EvalLoader(
            validation,
            store(validation, preprocessing.image_size, keep_for_evaluation(plan)),
            batch_size=plan.eval_batch.value,
            loading=decoding_of(plan, device, ranks.local_world),
            ranks=ranks,
        ),
    )


def tell_lost(events: EventLog, image: str) -> None:
    """Say that an image vanished or broke since the scan."""
    events.add("image", f"{image} can't be read any more: another image stands in for it")


def limit_memory(backend: Backend, device_index: int, plan: Plan, events: EventLog) -> None:
    """Hold this process to the plan's bytes of the device's memory, where the device can."""
    total = backend.memory(device_index).total_bytes
    allowed = plan.memory_bytes.value
    if backend.kind == "cpu" or total is None or allowed is None:
        return
    if not backend.limit_memory(device_index, min(1.0, allowed / total)):
        events.add("memory", f"{backend.kind} has no way to hold this process to its share")
