"""Plan: what was decided, every field a Choice. Below the plan, "auto" does not exist."""

from dataclasses import dataclass, fields
from typing import Any

from lacewing.engine.execution import Execution
from lacewing.planning.measured import Measured
from lacewing.values import Choice

BESIDES = ("notes", "measured")
"""Fields of a plan that are no decisions."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything decided about how a run is carried out."""

    device: Choice[str]
    """Address, as in `Device.address`."""
    tier: Choice[str]
    threads: Choice[int]
    """Of one operation on the CPU."""
    precision: Choice[str]
    memory_format: Choice[str]
    compile: Choice[str]
    image_size: Choice[int]
    """Side of the network's input in pixels."""
    micro_batch: Choice[int]
    """Most images of one forward and backward pass."""
    accumulation: Choice[int]
    """Passes per optimiser step: the batch over the micro-batch, rounded up."""
    batch: Choice[int]
    """Images per optimiser step: the effective batch."""
    learning_rate: Choice[float]
    optimizer_kernel: Choice[str]
    eval_precision: Choice[str]
    """Precision, format and images of the forward-only passes (validation, test)."""
    eval_memory_format: Choice[str]
    eval_batch: Choice[int]
    memory_share: Choice[float]
    """Share of the device's free memory that the run may take."""
    memory_bytes: Choice[int | None]
    """The same in bytes; None where the device can't tell."""
    pixels: Choice[str]
    """Where decoded images are kept: ram, disk, device (training images only) or none."""
    augment_on: Choice[str]
    """Where training images are varied: device or cpu."""
    workers: Choice[int]
    """Decoding threads; 0 decodes in the training thread."""
    prefetch: Choice[int]
    """Batches prepared ahead."""
    pin_memory: Choice[bool]
    notes: tuple[str, ...] = ()
    """What the user should know about what was asked."""
    measured: Measured | None = None
    """What the trial found; None where there was none."""

    @property
    def execution(self) -> Execution:
        """How one training step is run."""
        return Execution(
            device=self.device.value,
            precision=self.precision.value,
            memory_format=self.memory_format.value,
            compile_mode=self.compile.value,
            micro_batch=self.micro_batch.value,
            accumulation=self.accumulation.value,
            optimizer_kernel=self.optimizer_kernel.value,
        )

    @property
    def eval_execution(self) -> Execution:
        """How one forward-only pass is run."""
        return Execution(
            device=self.device.value,
            precision=self.eval_precision.value,
            memory_format=self.eval_memory_format.value,
            compile_mode=self.compile.value,
            micro_batch=self.eval_batch.value,
        )

    def choices(self) -> dict[str, Choice[Any]]:
        """The decisions by name, in their order."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in BESIDES}
