"""What the backends share: autocast, the loss scaler, process-wide switches, error texts."""

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

HALF_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The precisions that autocast provides; fp32 and tf32 need none."""


def autocast(device_type: str, precision: str) -> AbstractContextManager[Any]:
    """Autocast to the precision's dtype, or nothing for fp32 and tf32."""
    if precision not in HALF_DTYPES:
        return nullcontext()
    return torch.autocast(device_type, dtype=HALF_DTYPES[precision])


def grad_scaler(device_type: str, precision: str) -> torch.amp.GradScaler | None:
    """A scaler for fp16, whose gradients fall below its smallest number; else None."""
    return torch.amp.GradScaler(device_type) if precision == "fp16" else None


def configure_torch(threads: int, deterministic: bool) -> None:
    """Threads of one operation on the CPU, and deterministic algorithms where there are any."""
    torch.set_num_threads(threads)
    if deterministic:
        # cuBLAS reads it once, when the first handle is made
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if deterministic or torch.are_deterministic_algorithms_enabled():
        # only where it changes something: newer versions import the compiler here (2 s)
        torch.use_deterministic_algorithms(deterministic, warn_only=True)


@contextmanager
def without_search() -> Iterator[None]:
    """Within, cuDNN and MIOpen take the algorithm that they think fastest, without trying.

    For passes whose sizes come once or twice: each would be a search of its own, which takes longer
    than it saves, and memory that no forecast knows.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def is_torch_out_of_memory(error: BaseException, phrases: Iterable[str]) -> bool:
    """Whether it is torch's own out-of-memory error, or a RuntimeError that has a phrase in it."""
    # before torch 2.5 the class stands in torch.cuda only, whatever the device
    own = getattr(torch, "OutOfMemoryError", None) or torch.cuda.OutOfMemoryError
    if isinstance(error, own):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(phrase.lower() in text for phrase in phrases)
