"""Any DirectX 12 GPU on Windows, through torch-directml: no longer developed, torch 2.4.1 only."""

# ruff: noqa: ARG002 (the protocol's arguments, of which each kind of device needs some)

import importlib
import importlib.util
import platform
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from lacewing.hardware import switches
from lacewing.hardware.backend import Capabilities, Memory, NotHere
from lacewing.hardware.child import ChildError, run_child

PACKAGE = "torch_directml"
OUT_OF_MEMORY_PHRASES = ("not enough GPU video memory", "E_OUTOFMEMORY")
FIND = f"""
import json, {PACKAGE} as package
there = package.is_available()
report([package.device_name(i) for i in range(package.device_count())] if there else [])
"""
"""Run in a child: the import may raise OSError, `is_available` RuntimeError, or both crash."""
FIND_SECONDS = 120


class DirectMLBackend:
    """Backend of the kind `directml`, whose device type is `privateuseone`."""

    kind = "directml"
    capabilities = Capabilities(
        memory_formats=("contiguous",),
        optimizer_kernels=(),
        # torch.autocast accepts the device type and changes nothing
        autocast=False,
        compile=False,
        spills=True,
        float64=False,
        # grid_sample can't be relied on across its versions
        resampling=False,
    )

    def find(self) -> list[str]:
        """The adapters' names. Raises NotHere, whatever the package does to the process."""
        if importlib.util.find_spec(PACKAGE) is None:
            raise NotHere("the package torch-directml is not installed")
        try:
            names = run_child(FIND, FIND_SECONDS)
        except ChildError as error:
            raise NotHere(f"torch-directml does not work here ({error})") from error
        if not names:
            raise NotHere("torch-directml finds no DirectX 12 device")
        return [str(name) for name in names]

    def torch_device(self, index: int) -> torch.device:
        """`privateuseone:<index>`; the import registers that device type with torch."""
        device: torch.device = importlib.import_module(PACKAGE).device(index)
        return device

    def candidate_precisions(self, index: int) -> tuple[str, ...]:
        """fp32 alone: without autocast there is no other."""
        return ("fp32",)

    def details(self, index: int) -> dict[str, str]:
        """The device type that torch uses for it."""
        return {"torch device": "privateuseone"}

    def memory(self, index: int) -> Memory:
        """Unknown: the package tells neither total nor free memory."""
        return Memory(None, None)

    def peak_bytes(self, index: int) -> int | None:
        """Unknown."""
        return None

    def reset_peak(self, index: int) -> None:
        """Nothing to reset."""

    def limit_memory(self, index: int, fraction: float) -> bool:
        """There is no such switch."""
        return False

    def empty_cache(self) -> None:
        """There is no such call; the driver keeps what it has."""

    def synchronize(self, index: int) -> None:
        """Wait by copying one number back, which comes after everything asked before it."""
        torch.zeros(1, device=self.torch_device(index)).cpu()

    def is_out_of_memory(self, error: BaseException) -> bool:
        """A RuntimeError with the text in which the package says it."""
        return switches.is_torch_out_of_memory(error, OUT_OF_MEMORY_PHRASES)

    def autocast(self, precision: str) -> AbstractContextManager[Any]:
        """Nothing: the precision stays fp32."""
        return nullcontext()

    def grad_scaler(self, precision: str) -> torch.amp.GradScaler | None:
        """None: there is no fp16 here."""
        return None

    def configure(self, precision: str, threads: int, deterministic: bool) -> None:
        """Threads and deterministic algorithms; the device has no switches of its own."""
        switches.configure_torch(threads, deterministic)

    def seed(self, seed: int) -> None:
        """The CPU's generator, from which the package draws."""
        torch.manual_seed(seed)

    def rng_state(self, index: int) -> torch.Tensor:
        """The CPU's generator: the device has none that can be read."""
        return torch.get_rng_state()

    def set_rng_state(self, index: int, state: torch.Tensor) -> None:
        """The CPU's generator."""
        torch.set_rng_state(state)


def is_plausible() -> bool:
    """Whether DirectML is worth looking for: on Windows, or where its package is installed."""
    return platform.system() == "Windows" or importlib.util.find_spec(PACKAGE) is not None
