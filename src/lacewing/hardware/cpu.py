"""The processor: always here, always the last choice."""

# ruff: noqa: ARG002 (the protocol's arguments, of which each kind of device needs some)

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psutil
import torch

from lacewing.hardware import switches
from lacewing.hardware.allocator import give_back
from lacewing.hardware.backend import Capabilities, Memory
from lacewing.hardware.depthwise import DepthwiseInFull
from lacewing.hardware.limits import free_memory, usable_memory
from lacewing.hardware.processor import cpu_features, cpu_name

OUT_OF_MEMORY_PHRASES = (
    "DefaultCPUAllocator: can't allocate",
    "DefaultCPUAllocator: not enough memory",
    "enforce fail at alloc_cpu",
    "std::bad_alloc",
    "Cannot allocate memory",
    # oneDNN's words for a workspace that can't be had
    "could not create a primitive",
    "could not create a memory object",
)
FAST_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Without one of these, bf16 is emulated and 4 to 80 times slower (pytorch#183815)."""


class CpuBackend:
    """Backend of the kind `cpu`."""

    kind = "cpu"
    capabilities = Capabilities()

    def find(self) -> list[str]:
        """The processor's name."""
        return [cpu_name()]

    def torch_device(self, index: int) -> torch.device:
        """`cpu`."""
        return torch.device("cpu")

    def candidate_precisions(self, index: int) -> tuple[str, ...]:
        """fp32, and bf16 where the processor has instructions for it. fp16 has no fast path."""
        return ("fp32", "bf16") if FAST_BF16.intersection(cpu_features()) else ("fp32",)

    def details(self, index: int) -> dict[str, str]:
        """The widest instructions that torch uses here."""
        return {"instructions": torch.backends.cpu.get_cpu_capability()}

    def memory(self, index: int) -> Memory:
        """RAM within the limits of host, cgroup and rlimit."""
        return Memory(usable_memory().value, free_memory(), is_ram=True)

    def peak_bytes(self, index: int) -> int | None:
        """Highest resident set: since `reset_peak` on Linux, since the start elsewhere."""
        return peak_resident_bytes()

    def reset_peak(self, index: int) -> None:
        """Where the kernel lets us (Linux), start the peak at what is resident now."""
        reset_peak_resident()

    def limit_memory(self, index: int, fraction: float) -> bool:
        """Not capped: an rlimit would also count memory that is only reserved."""
        return False

    def empty_cache(self) -> None:
        """torch keeps no cache on the CPU, but the C library does (hardware/allocator.py)."""
        give_back()

    def synchronize(self, index: int) -> None:
        """Operations on the CPU are done when they return."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """MemoryError, ENOMEM, or a text of torch's allocator. The kernel's kill has no text."""
        if isinstance(error, MemoryError):
            return True
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return True
        return switches.is_torch_out_of_memory(error, OUT_OF_MEMORY_PHRASES)

    @contextmanager
    def autocast(self, precision: str) -> Iterator[None]:
        """Autocast for bf16 and fp16; in bf16 some depthwise convolutions stay in fp32."""
        apart = DepthwiseInFull() if precision == "bf16" else nullcontext()
        with switches.autocast("cpu", precision), apart:
            yield

    def grad_scaler(self, precision: str) -> torch.amp.GradScaler | None:
        """A scaler for fp16."""
        return switches.grad_scaler("cpu", precision)

    def configure(self, precision: str, threads: int, deterministic: bool) -> None:
        """Threads and deterministic algorithms."""
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


def peak_resident_bytes(root: Path = Path("/")) -> int:
    """Highest resident set of this process, from the kernel's or the system's count."""
    try:
        status = (root / "proc/self/status").read_text(encoding="utf-8")
        return next(
            int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")
        )
    except (OSError, StopIteration):
        return _peak_without_proc()


def _peak_without_proc() -> int:
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak_resident(root: Path = Path("/")) -> bool:
    """Ask the kernel to start VmHWM anew (proc(5), clear_refs); False where it doesn't."""
    try:
        (root / "proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True
