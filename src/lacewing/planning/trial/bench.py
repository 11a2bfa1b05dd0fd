"""The bench: the run's network, loss, optimiser and images, and one pass at a time on them.

The step is `engine.step`'s own, which training calls too. The learning rate is so small that
the weights stay as they are: every pass computes the same, so losses can be compared.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lacewing.engine.execution import Execution
from lacewing.engine.losses import Loss
from lacewing.engine.prepare import prepare_model, to_format, training_mode
from lacewing.engine.step import StepResult, eval_step, train_step
from lacewing.hardware.backend import Backend
from lacewing.planning.trial.ways import Way

STILL = 1e-30
"""A learning rate that changes no weight but those at zero: see `awake`."""
AWAKE = 0.01
"""In the place of zeros."""
SCALE = 256.0
"""Of the loss in fp16, kept small: weights that stay as they are would overflow in pass after pass
at what overflows in the first, and none would have the update in its time and its memory."""
SEED = 0

MakeOptimizer = Callable[[nn.Module, str], torch.optim.Optimizer]
"""Takes the network and the kernel; the learning rate is set here."""


@dataclass(frozen=True)
class Pass:
    """One pass: how long it took, and the mean loss over its images."""

    seconds: float
    loss: float


@dataclass(kw_only=True)
class Bench:
    """Everything a pass needs. `model` is never changed: each memory format has a copy."""

    model: nn.Module
    make_optimizer: MakeOptimizer
    loss: Loss
    images: Tensor
    """float32 [N, 3, S, S] on the device."""
    labels: Tensor
    """int64 [N] on the device."""
    backend: Backend
    index: int
    """The device's number."""
    clock: Callable[[], float]
    clip_norm: float | None = None
    deterministic: bool = False
    freeze_norms: bool = False
    """Whether BatchNorm keeps its statistics in training."""
    lean: bool = False
    """Whether one copy with one optimiser is kept at a time, where memory holds no more. Each is
    made anew for its passes; the optimiser's state within them."""
    copies: dict[str, nn.Module] = field(default_factory=dict)
    optimizers: dict[tuple[str, str], torch.optim.Optimizer] = field(default_factory=dict)

    def train(self, way: Way) -> Pass:
        """One optimiser step on `way.images` images."""
        step = self.stepper(way)
        images, labels = self.batch(way.images)
        started = self.now()
        result = step(images, labels)
        return Pass(self.now() - started, float(result.loss))

    def stepper(self, way: Way) -> Callable[[Tensor, Tensor], StepResult]:
        """Takes an optimiser step on images and labels, and does not wait for the device."""
        self.configure(way)
        network, optimizer = self.ready(way.memory_format), self.optimizer(way)
        scaler = scaled_little(self.backend.grad_scaler(way.precision))

        def step(images: Tensor, labels: Tensor) -> StepResult:
            return train_step(
                network,
                optimizer,
                scaler,
                self.loss,
                [(to_format(images, way.memory_format), labels)],
                autocast=lambda: self.backend.autocast(way.precision),
                clip_norm=self.clip_norm,
            )

        return step

    def forward(self, way: Way, weights_format: str) -> Pass:
        """One forward-only pass, of the network whose weights lie in `weights_format`."""
        self.configure(way)
        network = self.copy(weights_format)
        network.eval()
        images, labels = self.batch(way.images)
        started = self.now()
        logits = eval_step(
            network,
            to_format(images, way.memory_format),
            lambda: self.backend.autocast(way.precision),
        )
        seconds = self.now() - started
        return Pass(seconds, float(self.loss(logits, labels)))

    def copy(self, memory_format: str) -> nn.Module:
        """The network on the device, in a memory format; a new one is ready to train."""
        if memory_format not in self.copies:
            if self.lean:
                self.copies.clear()
                self.optimizers.clear()
            self.copies[memory_format] = self.prepared(deepcopy(self.model), memory_format)
        return self.copies[memory_format]

    def prepared(self, network: nn.Module, memory_format: str) -> nn.Module:
        """The same network, ready to train on the device in a memory format."""
        execution = Execution(device="", memory_format=memory_format)
        device = self.backend.torch_device(self.index)
        network = prepare_model(network, execution, device)
        training_mode(network, self.freeze_norms)
        return awake(network)

    def ready(self, memory_format: str) -> nn.Module:
        """The copy in the mode of the run's training."""
        network = self.copy(memory_format)
        if not network.training:  # what is switched off within it stays so
            training_mode(network, self.freeze_norms)
        return network

    def optimizer(self, way: Way) -> torch.optim.Optimizer:
        """The optimiser of a copy."""
        key = (way.memory_format, way.kernel)
        if key not in self.optimizers:
            if self.lean:
                self.optimizers.clear()
            optimizer = self.make_optimizer(self.copy(way.memory_format), way.kernel)
            for group in optimizer.param_groups:
                group["lr"] = STILL
            self.optimizers[key] = optimizer
        return self.optimizers[key]

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """`count` images with their labels, repeated where there are fewer."""
        if count <= len(self.labels):
            return self.images[:count], self.labels[:count]
        rows = torch.arange(count, device=self.labels.device) % len(self.labels)
        return self.images[rows], self.labels[rows]

    def forget(self, memory_format: str) -> None:
        """Drop a copy whose weights or statistics a wrong pass may have spoilt."""
        self.optimizers = {k: one for k, one in self.optimizers.items() if k[0] != memory_format}
        self.copies.pop(memory_format, None)

    def keep_only(self, way: Way) -> None:
        """Let go of all copies and optimisers but a way's, and give their memory back."""
        self.optimizers = {
            key: one for key, one in self.optimizers.items()
            if key == (way.memory_format, way.kernel)
        }  # fmt: skip
        self.copies = {k: one for k, one in self.copies.items() if k == way.memory_format}
        self.free()
        if not self.copies:
            # where memory is short, one more copy might be one too many
            self.copies[way.memory_format] = self.prepared(self.model, way.memory_format)
        self.model = nn.Identity()

    def free(self) -> None:
        """Let go of gradients and give unused memory back."""
        for network in self.copies.values():
            network.zero_grad(set_to_none=True)
        gc.collect()
        self.backend.empty_cache()

    def configure(self, way: Way) -> None:
        """Switches, threads and generators as for a training step."""
        self.backend.configure(way.precision, way.threads, self.deterministic)
        self.backend.seed(SEED)

    def now(self) -> float:
        """The clock, once the device has done all that it was given."""
        self.backend.synchronize(self.index)
        return self.clock()


def scaled_little(scaler: torch.amp.GradScaler | None) -> torch.amp.GradScaler | None:
    """The scaler, where there is one, with a scale of SCALE."""
    if scaler is not None:
        scaler.load_state_dict({**scaler.state_dict(), "scale": SCALE})
    return scaler


@torch.no_grad()
def awake(network: nn.Module) -> nn.Module:
    """The network, with a small value in the place of each parameter that is zero throughout.

    Heads and the last scales of residual branches may begin so. The tiny rate would make them
    denormal numbers, and then every gradient behind them: some CPUs compute with those ten times
    as slowly, and a few steps of real training later none is left.
    """
    for parameter in network.parameters():
        if not parameter.any():
            parameter.fill_(AWAKE)
    return network


def dropping(network: nn.Module) -> list[nn.Module]:
    """Modules that draw masks as they are."""
    return [m for m in network.modules() if "Drop" in type(m).__name__ and m.training]


@contextmanager
def without_dropout(network: nn.Module) -> Iterator[None]:
    """Training with dropout and its kin switched off, whose masks differ between precisions."""
    drops = dropping(network)
    for module in drops:
        module.eval()
    try:
        yield
    finally:
        for module in drops:
            module.train()


@contextmanager
def left_as_it_was(backend: Backend, index: int) -> Iterator[None]:
    """Threads and random generators stand afterwards as they did before."""
    threads, state = torch.get_num_threads(), backend.rng_state(index)
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            backend.set_rng_state(index, state)
            torch.set_num_threads(threads)
