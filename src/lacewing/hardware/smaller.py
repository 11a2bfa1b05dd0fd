"""A large card that passes for a small one: for tests and benchmarks of what small cards do.

The tier, the plan and the cap on the process are then those of a card with as many GiB as
$LACEWING_DEVICE_GIB says. CUDA and ROCm cards obey, and the fake.
"""

import os
from dataclasses import replace

from lacewing.errors import DeviceError
from lacewing.hardware.backend import Memory
from lacewing.values import gib_asked_by

VARIABLE = "LACEWING_DEVICE_GIB"


def as_told(real: Memory) -> Memory:
    """A device's memory, or that of the smaller one that it passes for.

    What is held of the real one is held of that too. Raises DeviceError where the variable is no
    number above 0.
    """
    wanted, total, free = wanted_bytes(), real.total_bytes, real.free_bytes
    if wanted is None or total is None or free is None or wanted >= total:
        return real
    return replace(real, total_bytes=wanted, free_bytes=max(0, wanted - (total - free)))


def share_of_real(fraction: float, real: Memory) -> float:
    """What a fraction of the told memory is of the real one, by which a driver caps a process."""
    told = as_told(real).total_bytes
    return fraction * told / real.total_bytes if told and real.total_bytes else fraction


def wanted_bytes() -> int | None:
    """Of the card to pass for; None where the variable is not set."""
    try:
        size = gib_asked_by(VARIABLE)
    except ValueError:
        size = 0
    if size is not None and size <= 0:
        said = os.environ[VARIABLE].strip()
        raise DeviceError(f"{VARIABLE} must be a number above 0, of GiB, not {said!r}.")
    return size


def note() -> dict[str, str]:
    """For a card's details: that its memory may not be what its maker built in."""
    return {"memory": f"no more than {VARIABLE} says"} if wanted_bytes() else {}
