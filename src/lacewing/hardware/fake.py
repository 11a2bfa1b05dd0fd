"""A public fake: any kind of device, computing on the CPU, with scripted memory and faults."""

# ruff: noqa: ARG002 (the protocol's arguments, of which each kind of device needs some)

import math
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import Any

import torch

from lacewing.hardware import smaller, switches
from lacewing.hardware.backend import Backend, BackendTable, Capabilities, Memory, NotHere
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.fake_faults import (
    FakeDeviceLostError,
    FakeOutOfMemoryError,
    Faults,
    Scripted,
    WrongConvolutions,
)
from lacewing.values import GIB


class FakeBackend:
    """A backend of any kind. Forward passes are counted by the calls of `autocast`.

    Counting begins at the first `configure`, as a run's first act: the device's test before
    it is not counted. Calls are numbered from 1, over the backend's whole life. At those in
    `out_of_memory_at` the memory is full; at those in `full_in_backward` only when the gradients
    of the pass are computed. `running_out` makes it full anywhere else.
    """

    def __init__(
        self,
        kind: str = "cuda",
        devices: Sequence[str] = ("Fake GPU",),
        *,
        total_bytes: int | None = 8 * GIB,
        free_bytes: int | None = None,
        peaks: Sequence[int | None] = (None,),
        capabilities: Capabilities | None = None,
        precisions: Sequence[str] = ("fp32", "bf16"),
        out_of_memory_at: Collection[int] = (),
        full_in_backward: Collection[int] = (),
        faults: Faults | None = None,
    ) -> None:
        """`free_bytes` is the total by default; `peaks` are what `peak_bytes` answers, one after
        the other, the last for ever. Capabilities are by default those of the real kind, less
        pinned memory, compilation and Triton, which the CPU underneath does not have as a GPU does.
        """
        self.kind = kind
        self.devices = tuple(devices)
        self.precisions = tuple(precisions)
        self.capabilities = capabilities or replace(
            BACKENDS[kind]().capabilities, pinned_memory=False, compile=False, triton=False
        )
        self.out_of_memory_at = frozenset(out_of_memory_at)
        self.full_in_backward = frozenset(full_in_backward)
        self.faults = faults or Faults()
        self.forward_calls = 0
        """How many forward passes were counted."""
        self.now = 0.0
        """The fake's clock, in seconds."""
        self.calls: list[str] = []
        """The names of the other calls that were made, in their order."""
        self.memory_fraction: float | None = None
        """The last cap, as a share of the scripted memory."""
        self._memory = Memory(total_bytes, total_bytes if free_bytes is None else free_bytes)
        self._peaks = list(peaks)
        self._counting = False

    def find(self) -> list[str]:
        """The scripted names. Raises NotHere where the script has a reason."""
        if self.faults.find is not None:
            raise NotHere(self.faults.find)
        return list(self.devices)

    def torch_device(self, index: int) -> torch.device:
        """The CPU."""
        return torch.device("cpu")

    def candidate_precisions(self, index: int) -> tuple[str, ...]:
        """The scripted precisions."""
        return self.precisions

    def details(self, index: int) -> dict[str, str]:
        """Says that it is a fake."""
        return {"fake": "computes on the CPU", **smaller.note()}

    def memory(self, index: int) -> Memory:
        """The scripted memory. Noted in `calls`."""
        self.calls.append("memory")
        return smaller.as_told(self._memory)

    def peak_bytes(self, index: int) -> int | None:
        """The next scripted peak."""
        return self._peaks.pop(0) if len(self._peaks) > 1 else self._peaks[0]

    def reset_peak(self, index: int) -> None:
        """Noted in `calls`."""
        self.calls.append("reset_peak")

    def limit_memory(self, index: int, fraction: float) -> bool:
        """Noted in `memory_fraction`; True where the fake has a memory to limit."""
        self.memory_fraction = smaller.share_of_real(fraction, self._memory)
        return self._memory.total_bytes is not None

    def empty_cache(self) -> None:
        """Noted in `calls`."""
        self.calls.append("empty_cache")

    def synchronize(self, index: int) -> None:
        """Noted in `calls`."""
        self.calls.append("synchronize")

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether it is the fake's own error."""
        return isinstance(error, FakeOutOfMemoryError)

    def autocast(self, precision: str) -> AbstractContextManager[Any]:
        """Autocast on the CPU, and the script's next line. Raises what the script says."""
        self._count_forward()
        context = ExitStack()
        fault = self.faults.precisions.get(precision)
        if fault in ("nan", "wrong"):
            context.enter_context(WrongConvolutions(math.nan if fault == "nan" else 1.5))
        elif fault is not None:
            raise RuntimeError(fault)
        context.enter_context(Scripted(self, precision))
        context.enter_context(switches.autocast("cpu", precision))
        return context

    def grad_scaler(self, precision: str) -> torch.amp.GradScaler | None:
        """The CPU's scaler for fp16."""
        return switches.grad_scaler("cpu", precision)

    def configure(self, precision: str, threads: int, deterministic: bool) -> None:
        """As on the CPU; from the first call on, forward passes are counted."""
        self._counting = True
        self.calls.append("configure")
        switches.configure_torch(threads, deterministic)

    def seed(self, seed: int) -> None:
        """The CPU's generator."""
        torch.manual_seed(seed)

    def rng_state(self, index: int) -> torch.Tensor:
        """The CPU's generator."""
        return torch.get_rng_state()

    def set_rng_state(self, index: int, state: torch.Tensor) -> None:
        """The CPU's generator."""
        torch.set_rng_state(state)

    def _count_forward(self) -> None:
        if not self._counting:
            return
        self.forward_calls += 1
        if self.faults.lost_at is not None and self.forward_calls >= self.faults.lost_at:
            raise FakeDeviceLostError("the fake device is gone, as its script says")
        if self.forward_calls in self.out_of_memory_at:
            raise FakeOutOfMemoryError(f"the fake's memory is full at call {self.forward_calls}")


def fake_backends(*fakes: FakeBackend) -> BackendTable:
    """A table of fakes in the order of preference of their kinds, with the real CPU last."""
    by_kind = {fake.kind: fake for fake in fakes}
    table: BackendTable = {
        kind: _always(by_kind[kind]) for kind in BACKENDS if kind in by_kind and kind != "cpu"
    }
    return {**table, "cpu": BACKENDS["cpu"]}


def _always(backend: Backend) -> Callable[[], Backend]:
    """A factory that hands out the same backend each time, so that its script goes on."""
    return lambda: backend
