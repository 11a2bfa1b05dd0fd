"""NVIDIA cards under CUDA, and AMD cards under ROCm, which appear as CUDA."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lacewing.hardware import smaller, switches
from lacewing.hardware.backend import Capabilities, Memory, NotHere

OUT_OF_MEMORY_PHRASES = (
    # CUDA's and HIP's own, their drivers' and Triton's, each after a prefix of its own
    "out of memory",
    # cuBLAS's and hipBLAS's, when no handle can be made
    "BLAS_STATUS_ALLOC_FAILED",
    # cuDNN says this when no algorithm's workspace fits
    "CUDNN_STATUS_NOT_SUPPORTED",
    "CUDNN_STATUS_INTERNAL_ERROR",
    "CUDNN_STATUS_ALLOC_FAILED",
    "unable to find an engine",
)


class CudaBackend:
    """Backend of the kind `cuda`."""

    kind = "cuda"
    capabilities = Capabilities(
        pinned_memory=True,
        triton=True,
        compile_modes=("cudagraphs", "reduce-overhead", "default"),
        # drivers for Windows go on in system memory (from 536.40 on, unless they are told not to)
        spills=sys.platform == "win32",
    )

    def find(self) -> list[str]:
        """The cards' names. Raises NotHere."""
        if torch.version.cuda is None and torch.version.hip is None:
            raise NotHere("this PyTorch is built without CUDA and ROCm")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            available = torch.cuda.is_available()
        if not available:
            # an old driver is told in a warning only
            said = " ".join(str(warning.message) for warning in caught).split(" (Triggered")[0]
            raise NotHere(
                said.rstrip(".") or "PyTorch sees no such GPU, or its driver is not installed"
            )
        return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]

    def torch_device(self, index: int) -> torch.device:
        """`cuda:<index>`."""
        return torch.device("cuda", index)

    def candidate_precisions(self, index: int) -> tuple[str, ...]:
        """fp32, and what the card computes without emulation."""
        capability = torch.cuda.get_device_capability(index)
        rocm = torch.version.hip is not None
        found = ["fp32"]
        if capability >= (8, 0) and not rocm:
            found.append("tf32")
        with torch.cuda.device(index):
            # without the argument, emulation counts: true on a T4, where it is no gain
            bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        if bf16 and (rocm or capability >= (8, 0)):  # cuDNN has no bf16 convolution below sm80
            found.append("bf16")
        if rocm or capability >= (5, 3):
            found.append("fp16")
        return tuple(found)

    def details(self, index: int) -> dict[str, str]:
        """Compute capability or architecture, multiprocessors, and what torch was built for."""
        properties = torch.cuda.get_device_properties(index)
        count = str(properties.multi_processor_count)
        if torch.version.hip is not None:
            architecture = getattr(properties, "gcnArchName", "unknown")
            return {
                "architecture": architecture,
                "multiprocessors": count,
                "rocm": torch.version.hip,
                **smaller.note(),
            }
        return {
            "compute capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": count,
            "cuda": str(torch.version.cuda),
            **smaller.note(),
        }

    def memory(self, index: int) -> Memory:
        """As the driver counts it: free is what no process holds."""
        return smaller.as_told(driver_memory(index))

    def peak_bytes(self, index: int) -> int | None:
        """Highest memory reserved by torch's allocator: what other processes can't have."""
        return torch.cuda.max_memory_reserved(index)

    def reset_peak(self, index: int) -> None:
        """The peak starts at what is reserved now."""
        torch.cuda.reset_peak_memory_stats(index)

    def limit_memory(self, index: int, fraction: float) -> bool:
        """Beyond the fraction, torch's allocator raises its out-of-memory error."""
        share = smaller.share_of_real(fraction, driver_memory(index))
        torch.cuda.set_per_process_memory_fraction(share, index)
        return True

    def empty_cache(self) -> None:
        """Give unused blocks back to the driver."""
        torch.cuda.empty_cache()

    def synchronize(self, index: int) -> None:
        """Wait for all streams of the card."""
        torch.cuda.synchronize(index)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """torch's own error, or one of the texts in which the libraries say it."""
        return switches.is_torch_out_of_memory(error, OUT_OF_MEMORY_PHRASES)

    @contextmanager
    def autocast(self, precision: str) -> Iterator[None]:
        """Autocast for bf16 and fp16, and TF32 as for this precision, whatever is configured."""
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        before = matmul.allow_tf32, cudnn.allow_tf32
        switch_tf32(precision)
        try:
            with switches.autocast("cuda", precision):
                yield
        finally:
            matmul.allow_tf32, cudnn.allow_tf32 = before

    def grad_scaler(self, precision: str) -> torch.amp.GradScaler | None:
        """A scaler for fp16."""
        return switches.grad_scaler("cuda", precision)

    def configure(self, precision: str, threads: int, deterministic: bool) -> None:
        """TF32 for every precision but fp32; cuDNN picks its fastest algorithm by trying."""
        switches.configure_torch(threads, deterministic)
        switch_tf32(precision)
        torch.backends.cudnn.benchmark = not deterministic
        torch.backends.cudnn.deterministic = deterministic

    def seed(self, seed: int) -> None:
        """Every card's generator and the CPU's."""
        torch.manual_seed(seed)

    def rng_state(self, index: int) -> torch.Tensor:
        """The card's generator."""
        return torch.cuda.get_rng_state(index)

    def set_rng_state(self, index: int, state: torch.Tensor) -> None:
        """The card's generator."""
        torch.cuda.set_rng_state(state, index)


def driver_memory(index: int) -> Memory:
    """The card's own, as its driver counts it."""
    free, total = torch.cuda.mem_get_info(index)
    return Memory(total, free)


def switch_tf32(precision: str) -> None:
    """TF32 for what is computed in fp32, in every precision but fp32 itself."""
    tf32 = precision != "fp32"
    # fp32_precision says the same from torch 2.9 on, but using both raises (pytorch#179445)
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
