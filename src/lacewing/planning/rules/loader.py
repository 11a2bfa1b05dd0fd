"""Threads and loader processes."""

from dataclasses import dataclass

from lacewing.hardware.backend import Capabilities
from lacewing.hardware.machine import Device, Machine
from lacewing.performance_config import Tier
from lacewing.values import MIB, Choice

LEAST_SHARED_BYTES = 256 * MIB
"""Loader processes pass batches through /dev/shm; Docker's 64 MB end in bus errors."""
LEAST_OPEN_FILES = 256
"""Each batch in flight holds open files."""


@dataclass(frozen=True)
class LoaderChoices:
    """How batches are prepared."""

    workers: Choice[int]
    prefetch: Choice[int]
    persistent_workers: Choice[bool]
    pin_memory: Choice[bool]


def choose_threads(asked: int | None, machine: Machine) -> Choice[int]:
    """Threads of one operation on the CPU: the usable cores, never the host's."""
    if asked is not None:
        return Choice(asked, "asked for", "user")
    cores = machine.cores
    return Choice(cores.value, f"the usable cores ({cores.source})", "rule")


def choose(
    asked_workers: int | None,
    tier: Tier,
    device: Device,
    machine: Machine,
    capabilities: Capabilities,
) -> LoaderChoices:
    """Workers, what they prepare ahead, whether they stay, and pinned memory."""
    workers = choose_workers(asked_workers, tier, device, machine)
    if workers.value == 0:
        prefetch = Choice(0, "no loader processes", "rule")
        persistent = Choice(False, "no loader processes", "rule")
    else:
        prefetch = Choice(tier.prefetch, "the tier's batches ahead per worker", "rule")
        persistent = Choice(tier.persistent_workers, "the tier's setting", "rule")
    pinned = capabilities.pinned_memory
    why = "copies to the device run beside it" if pinned else f"{device.kind} has no use for it"
    return LoaderChoices(workers, prefetch, persistent, Choice(pinned, why, "rule"))


def choose_workers(
    asked: int | None, tier: Tier, device: Device, machine: Machine
) -> Choice[int]:
    """Loader processes; 0 where they would take the cores that train."""
    if asked is not None:
        return Choice(asked, "asked for", "user")
    cores, shared = machine.cores.value, machine.shared_memory_bytes
    if shared is not None and shared < LEAST_SHARED_BYTES:
        return Choice(0, "too little shared memory (/dev/shm) for loader processes", "rule",
                      {"shared_bytes": shared})  # fmt: skip
    if machine.open_files is not None and machine.open_files < LEAST_OPEN_FILES:
        return Choice(0, "too few open files allowed for loader processes", "rule",
                      {"open_files": machine.open_files})  # fmt: skip
    if device.kind == "cpu" and cores <= 4:
        return Choice(0, f"{cores} cores: loader processes would take those that train", "rule")
    spare = cores // 4 if device.kind == "cpu" else cores - 1
    count = min(tier.workers, spare)
    return Choice(count, f"of {cores} usable cores, at most {tier.workers}", "rule")
