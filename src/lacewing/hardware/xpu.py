"""Intel GPUs: Arc, Data Center GPU Max, and those inside Core Ultra processors."""

# ruff: noqa: ARG002 (the protocol's arguments, of which each kind of device needs some)

from contextlib import AbstractContextManager
from typing import Any

import psutil
import torch

from lacewing.hardware import switches
from lacewing.hardware.backend import Capabilities, Memory, NotHere
from lacewing.hardware.limits import free_memory, usable_memory

LEAST_RAM_SHARE = 0.75
"""Of the RAM: what an integrated GPU says to have at least; by Intel's drivers 0.8 to 0.94."""
OUT_OF_MEMORY_PHRASES = (
    "XPU out of memory",
    "UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY",
    "UR_RESULT_ERROR_OUT_OF_RESOURCES",
)


class XpuBackend:
    """Backend of the kind `xpu`. Its memory functions came one by one after torch 2.4."""

    kind = "xpu"
    capabilities = Capabilities()

    def find(self) -> list[str]:
        """The devices' names. Raises NotHere."""
        if not hasattr(torch, "xpu") or not torch.xpu.is_available():
            raise NotHere("PyTorch sees no Intel GPU, or is built without XPU")
        return [torch.xpu.get_device_name(index) for index in range(torch.xpu.device_count())]

    def torch_device(self, index: int) -> torch.device:
        """`xpu:<index>`."""
        return torch.device("xpu", index)

    def candidate_precisions(self, index: int) -> tuple[str, ...]:
        """fp32, and both half precisions: the test decides."""
        return ("fp32", "bf16", "fp16")

    def details(self, index: int) -> dict[str, str]:
        """Driver and platform, where they are told."""
        properties = torch.xpu.get_device_properties(index)
        told = {name: getattr(properties, name, None) for name in ("driver_version", "version")}
        return {name.replace("_", " "): str(value) for name, value in told.items() if value}

    def memory(self, index: int) -> Memory:
        """As the driver counts it; RAM on integrated GPUs, which share it and can't be asked.

        Before torch 2.6, which can't tell what is free, a card's whole memory is taken to be.
        """
        if not hasattr(torch.xpu, "mem_get_info"):
            return by_total(torch.xpu.get_device_properties(index).total_memory)
        try:
            free, total = torch.xpu.mem_get_info(index)
        except RuntimeError:
            return Memory(usable_memory().value, free_memory(), is_ram=True)
        return Memory(total, free)

    def peak_bytes(self, index: int) -> int | None:
        """Highest memory reserved by torch's allocator."""
        if not hasattr(torch.xpu, "max_memory_reserved"):
            return None
        return torch.xpu.max_memory_reserved(index)

    def reset_peak(self, index: int) -> None:
        """The peak starts at what is reserved now."""
        if hasattr(torch.xpu, "reset_peak_memory_stats"):
            torch.xpu.reset_peak_memory_stats(index)

    def limit_memory(self, index: int, fraction: float) -> bool:
        """Beyond the fraction, torch's allocator raises; False where torch is too old."""
        if not hasattr(torch.xpu, "set_per_process_memory_fraction"):
            return False
        torch.xpu.set_per_process_memory_fraction(fraction, index)
        return True

    def empty_cache(self) -> None:
        """Give unused blocks back to the driver."""
        torch.xpu.empty_cache()

    def synchronize(self, index: int) -> None:
        """Wait for all queues of the device."""
        torch.xpu.synchronize(index)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """torch's own error, or one of the texts in which the driver says it."""
        return switches.is_torch_out_of_memory(error, OUT_OF_MEMORY_PHRASES)

    def autocast(self, precision: str) -> AbstractContextManager[Any]:
        """Autocast for bf16 and fp16."""
        return switches.autocast("xpu", precision)

    def grad_scaler(self, precision: str) -> torch.amp.GradScaler | None:
        """A scaler for fp16."""
        return switches.grad_scaler("xpu", precision)

    def configure(self, precision: str, threads: int, deterministic: bool) -> None:
        """Threads and deterministic algorithms; the device has no switches of its own."""
        switches.configure_torch(threads, deterministic)

    def seed(self, seed: int) -> None:
        """Every device's generator and the CPU's."""
        torch.manual_seed(seed)

    def rng_state(self, index: int) -> torch.Tensor:
        """The device's generator."""
        return torch.xpu.get_rng_state(index)

    def set_rng_state(self, index: int, state: torch.Tensor) -> None:
        """The device's generator."""
        torch.xpu.set_rng_state(state, index)


def by_total(total: int) -> Memory:
    """The memory of a device that tells only its total: RAM where it has about as much.

    A card that has as much of its own is then taken to have no more than the RAM's.
    """
    ram = psutil.virtual_memory().total
    if LEAST_RAM_SHARE * ram <= total <= ram:
        return Memory(min(total, usable_memory().value), min(total, free_memory()), is_ram=True)
    return Memory(total, total)
