"""The GPU of Apple-silicon Macs."""

# ruff: noqa: ARG002 (the protocol's arguments, of which each kind of device needs some)

import platform
from contextlib import AbstractContextManager
from typing import Any

import torch

from lacewing.hardware import switches
from lacewing.hardware.backend import Capabilities, Memory, NotHere
from lacewing.hardware.limits import free_memory
from lacewing.hardware.processor import cpu_name

OUT_OF_MEMORY_PHRASES = ("MPS backend out of memory", "Invalid buffer size")
BF16_FROM_MACOS = 14


class MpsBackend:
    """Backend of the kind `mps`. Its memory is the Mac's RAM."""

    kind = "mps"
    capabilities = Capabilities(
        # channels_last gives wrong gradients (BatchNorm2d's backward pass, pytorch#175189)
        memory_formats=("contiguous",),
        # its fused kernels ignore the scale of fp16's gradients, and that one is not finite, up to
        # the release with pytorch#186360
        optimizer_kernels=(),
        compile=False,
        # it swaps beyond the recommended working set
        spills=True,
        float64=False,
    )

    def find(self) -> list[str]:
        """The chip's name. Raises NotHere."""
        if not torch.backends.mps.is_built():
            raise NotHere("this PyTorch is built without MPS (it is for Macs only)")
        if not torch.backends.mps.is_available():
            raise NotHere("MPS needs an Apple-silicon Mac with macOS 12.3 or newer")
        return [f"{cpu_name()} GPU"]

    def torch_device(self, index: int) -> torch.device:
        """`mps`."""
        return torch.device("mps")

    def candidate_precisions(self, index: int) -> tuple[str, ...]:
        """fp32 and fp16; bf16 from macOS 14 on."""
        return ("fp32", "bf16", "fp16") if macos_major() >= BF16_FROM_MACOS else ("fp32", "fp16")

    def details(self, index: int) -> dict[str, str]:
        """The release of macOS, which sets what the GPU can do."""
        return {"macos": platform.mac_ver()[0]}

    def memory(self, index: int) -> Memory:
        """Total is the working set that the system recommends; beyond it, the Mac swaps."""
        if not hasattr(torch.mps, "recommended_max_memory"):
            return Memory(None, None, is_ram=True)
        total = torch.mps.recommended_max_memory()
        # the GPU shares its memory with everything else that runs
        free = min(total - torch.mps.current_allocated_memory(), free_memory())
        return Memory(total, max(free, 0), is_ram=True)

    def peak_bytes(self, index: int) -> int | None:
        """What the driver holds for us: it only grows between two calls of `empty_cache`."""
        return torch.mps.driver_allocated_memory()

    def reset_peak(self, index: int) -> None:
        """Give unused memory back, so that what the driver holds starts anew."""
        torch.mps.empty_cache()

    def limit_memory(self, index: int, fraction: float) -> bool:
        """Without a cap, torch takes 1.7 times the working set, and the Mac swaps."""
        torch.mps.set_per_process_memory_fraction(fraction)
        return True

    def empty_cache(self) -> None:
        """Give unused buffers back to the system."""
        torch.mps.empty_cache()

    def synchronize(self, index: int) -> None:
        """Wait for the GPU."""
        torch.mps.synchronize()

    def is_out_of_memory(self, error: BaseException) -> bool:
        """torch's own error, or one of the texts in which Metal's allocator says it."""
        return switches.is_torch_out_of_memory(error, OUT_OF_MEMORY_PHRASES)

    def autocast(self, precision: str) -> AbstractContextManager[Any]:
        """Autocast for bf16 and fp16; raises RuntimeError before torch 2.5, which has none."""
        return switches.autocast("mps", precision)

    def grad_scaler(self, precision: str) -> torch.amp.GradScaler | None:
        """A scaler for fp16."""
        return switches.grad_scaler("mps", precision)

    def configure(self, precision: str, threads: int, deterministic: bool) -> None:
        """Threads and deterministic algorithms; the GPU has no switches of its own."""
        switches.configure_torch(threads, deterministic)

    def seed(self, seed: int) -> None:
        """The GPU's generator and the CPU's."""
        torch.manual_seed(seed)

    def rng_state(self, index: int) -> torch.Tensor:
        """The GPU's generator."""
        return torch.mps.get_rng_state()

    def set_rng_state(self, index: int, state: torch.Tensor) -> None:
        """The GPU's generator."""
        torch.mps.set_rng_state(state)


def macos_major() -> int:
    """14 for macOS 14.5; 0 elsewhere."""
    major = platform.mac_ver()[0].partition(".")[0]
    return int(major) if major.isdigit() else 0
