"""Session: a plan turned into objects that are ready to train."""

from dataclasses import dataclass

import torch
from torch import nn

from lacewing.config import TrainConfig
from lacewing.data.augment import AugmentConfig
from lacewing.data.index import ImageIndex
from lacewing.data.loader import EvalLoader, TrainLoader
from lacewing.data.preprocess import Preprocessing
from lacewing.engine.optimizers import find_optimizer, make_optimizer
from lacewing.engine.prepare import compile_model, prepare_model
from lacewing.engine.schedules import Schedule, make_schedule
from lacewing.hardware.backend import Backend, BackendTable
from lacewing.hardware.backends import BACKENDS, backend_for
from lacewing.models.build import build_model, preprocessing_for
from lacewing.models.catalog import ModelInfo
from lacewing.models.weights import Weights
from lacewing.planning.plan import Plan
from lacewing.store.run import Run
from lacewing.training.events import EventLog
from lacewing.training.state import Progress


@dataclass
class Session:
    """Everything the loop needs; made by `open_session`."""

    run: Run
    config: TrainConfig
    plan: Plan
    info: ModelInfo
    classes: tuple[str, ...]
    class_ids: tuple[str, ...]
    backend: Backend
    device_index: int
    model: nn.Module
    forward: nn.Module
    """The model, or its compiled form; both share their weights."""
    preprocessing: Preprocessing
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    schedule: Schedule
    train_loader: TrainLoader
    val_loader: EvalLoader
    test_loader: EvalLoader
    events: EventLog
    progress: Progress
    best_weights: dict[str, torch.Tensor] | None = None
    """The best epoch's weights, where the configuration keeps them out of the run folder."""


def open_session(
    run: Run,
    config: TrainConfig,
    plan: Plan,
    index: ImageIndex,
    info: ModelInfo,
    weights: Weights | None,
    events: EventLog,
    backends: BackendTable = BACKENDS,
) -> Session:
    """Build the network, the optimiser, the schedule and the loaders that the plan says."""
    backend, device_index = backend_for(plan.device.value, backends)
    execution = plan.execution
    backend.configure(execution.precision, plan.threads.value, config.deterministic)
    limit_memory(backend, device_index, plan, events)
    backend.seed(config.seed)
    device = backend.torch_device(device_index)
    size = plan.image_size.value
    model = build_model(info, len(index.classes), config.dropout, weights, size)
    model = prepare_model(model, execution, device)
    optimizer = make_optimizer(
        find_optimizer(config.optimizer),
        model,
        learning_rate=plan.learning_rate.value,
        weight_decay=config.weight_decay,
        momentum=config.momentum,
        nesterov=config.nesterov,
        kernel=execution.optimizer_kernel,
    )
    preprocessing = preprocessing_for(info, size, weights)
    train_loader = TrainLoader(
        index.split("train"),
        preprocessing,
        AugmentConfig(
            enabled=config.augment,
            rotation=config.rotation,
            flip=config.flip,
            color_jitter=config.color_jitter,
            min_crop=config.min_crop,
        ),
        batch_size=plan.batch.value,
        seed=config.seed,
        device=device,
        workers=plan.workers.value,
        prefetch=plan.prefetch.value,
        persistent_workers=plan.persistent_workers.value,
        pin_memory=plan.pin_memory.value,
        pixels=plan.pixels.value,
        on_event=lambda text: events.add("loader", text),
    )

    def evaluation(split: str) -> EvalLoader:
        return EvalLoader(
            index.split(split),
            preprocessing,
            batch_size=evaluation_batch(plan),
            device=device,
            workers=plan.workers.value,
            prefetch=plan.prefetch.value,
            pin_memory=plan.pin_memory.value,
            pixels=plan.pixels.value if split == "val" else "none",
        )

    return Session(
        run=run,
        config=config,
        plan=plan,
        info=info,
        classes=index.classes,
        class_ids=index.class_ids,
        backend=backend,
        device_index=device_index,
        model=model,
        forward=compile_model(
            model, execution.compile_mode, lambda text: events.add("compile", text)
        ),
        preprocessing=preprocessing,
        optimizer=optimizer,
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
        val_loader=evaluation("val"),
        test_loader=evaluation("test"),
        events=events,
        progress=Progress(micro_batch=execution.micro_batch),
    )


def evaluation_batch(plan: Plan) -> int:
    """Images per forward-only pass: no gradients are kept, so twice the micro-batch fits."""
    return 2 * plan.micro_batch.value


def limit_memory(backend: Backend, device_index: int, plan: Plan, events: EventLog) -> None:
    """Hold this process to the plan's bytes of the device's memory, where the device can."""
    total = backend.memory(device_index).total_bytes
    allowed = plan.memory_bytes.value
    if backend.kind == "cpu" or total is None or allowed is None:
        return
    if not backend.limit_memory(device_index, min(1.0, allowed / total)):
        events.add("memory", f"{backend.kind} has no way to hold this process to its share")
