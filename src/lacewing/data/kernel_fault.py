"""Whether data/kernel.py makes the right pixels on a device: tried before a run relies on it."""

from dataclasses import replace

import numpy as np
import torch

from lacewing.data.augment import AugmentConfig, apply, apply_packed, draw
from lacewing.data.resample import lie_on

COUNT, HEIGHT, WIDTH, SIZE = 2, 40, 50, 16
FARTHEST = 1e-3
"""Difference of a pixel in 0..1: rounding shows 1e-6, what is wrong about 1."""


def kernel_fault(device: torch.device) -> str | None:
    """Why the kernels can't be used on a device, a clause; None if they can."""
    try:
        difference = largest_difference(device)
    except Exception as error:  # no Triton, no C compiler, or anything that a driver raises
        lines = str(error).strip().splitlines() or [""]
        return f"{type(error).__name__}: {lines[0][:120]}"
    # written so that a difference that is no number is wrong too
    return None if difference <= FARTHEST else "their pixels are wrong"


def largest_difference(device: torch.device) -> float:
    """Of a pixel by the kernels from the same by tensor operations."""
    from lacewing.data import kernel  # with Triton

    random = np.random.default_rng(0)
    canvas = torch.from_numpy(random.integers(0, 256, (COUNT, HEIGHT, WIDTH, 3), dtype=np.uint8))
    drawn = draw(
        AugmentConfig(),
        seed=0,
        epoch=0,
        samples=np.arange(COUNT),
        heights=np.full(COUNT, HEIGHT),
        widths=np.full(COUNT, WIDTH),
        size=SIZE,
    )
    packed = kernel.pack(drawn, *lie_on(canvas), SIZE)
    packed = replace(packed, buffer=packed.buffer.to(device))
    there = canvas.to(device)
    found = apply_packed(there.flatten(), packed, drawn, SIZE)
    return float((found - apply(there, drawn, SIZE)).abs().max())
