"""The one seam between lacewing and a kind of device."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch


class NotHere(Exception):  # noqa: N818 (it reads as a statement)
    """A backend that can't be used on this machine; the text is the reason, a clause."""


@dataclass(frozen=True)
class Memory:
    """Bytes of a device's memory; None where the backend can't tell."""

    total_bytes: int | None
    free_bytes: int | None
    is_ram: bool = False
    """Whether it is the machine's RAM."""


@dataclass(frozen=True)
class Capabilities:
    """What a kind of device can do, as data. The trial and the rules read it."""

    memory_formats: tuple[str, ...] = ("contiguous", "channels_last")
    """Formats that give right results; contiguous is always the first."""
    optimizer_kernels: tuple[str, ...] = ("foreach", "fused")
    """Of foreach and fused: which optimiser kernels the device has."""
    autocast: bool = True
    """Whether autocast really changes the precision (on DirectML it silently does nothing)."""
    compile: bool = True
    compile_modes: tuple[str, ...] = ("default",)
    """Those that the trial compares, in the order in which it tries them."""
    spills: bool = False
    """Whether its driver may go on in system memory where its own is full, instead of failing."""
    pinned_memory: bool = False
    float64: bool = True
    triton: bool = False
    """Whether Triton compiles kernels for it, where that is installed."""
    resampling: bool = True
    """Whether images can be resampled on it (grid_sample), as augmentation does."""


class Backend(Protocol):
    """One kind of device: cuda (ROCm too), xpu, mps, directml, cpu. Stateless.

    `index` is the device's number within its kind. Nothing may be probed before `find()`.
    """

    kind: str
    capabilities: Capabilities

    def find(self) -> list[str]:
        """The names of the devices of this kind, by index. Raises NotHere with the reason."""

    def torch_device(self, index: int) -> torch.device:
        """The device to give to `.to()`."""

    def candidate_precisions(self, index: int) -> tuple[str, ...]:
        """Precisions worth testing on it, fp32 first."""

    def details(self, index: int) -> dict[str, str]:
        """Facts for `doctor`: compute capability, driver and so on."""

    def memory(self, index: int) -> Memory:
        """Total and free bytes."""

    def peak_bytes(self, index: int) -> int | None:
        """Highest memory in use by this process since `reset_peak`; None if it can't tell."""

    def reset_peak(self, index: int) -> None:
        """Start a new measurement of the peak."""

    def limit_memory(self, index: int, fraction: float) -> bool:
        """Cap this process at a fraction of the device's memory; False if it can't be done."""

    def empty_cache(self) -> None:
        """Give unused cached memory back to the device."""

    def synchronize(self, index: int) -> None:
        """Wait until the device has done everything asked of it."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether an exception means that the device's memory is exhausted."""

    def autocast(self, precision: str) -> AbstractContextManager[Any]:
        """Runs the forward pass in `precision` (a member of `machine.PRECISIONS`)."""

    def grad_scaler(self, precision: str) -> torch.amp.GradScaler | None:
        """A loss scaler where the precision needs one (fp16), else None."""

    def configure(self, precision: str, threads: int, deterministic: bool) -> None:
        """Process-wide switches: TF32, cuDNN benchmark, threads, deterministic algorithms."""

    def seed(self, seed: int) -> None:
        """Seed the generators that operations on this device draw from (and the CPU's)."""

    def rng_state(self, index: int) -> torch.Tensor:
        """State of the device's generator, uint8 [n] on the CPU."""

    def set_rng_state(self, index: int, state: torch.Tensor) -> None:
        """Put back what `rng_state` returned."""


BackendTable = dict[str, Callable[[], Backend]]
"""Backends by kind in the order of preference; the values import what they need when called."""
