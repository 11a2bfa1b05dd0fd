"""Threads that compute, threads that decode, and where images are augmented."""

from dataclasses import dataclass
from importlib.util import find_spec

from lacewing.hardware.backend import Capabilities
from lacewing.hardware.machine import Device, Machine
from lacewing.performance_config import AHEAD_SHARE, Tier
from lacewing.values import Choice, format_bytes

CORES_PER_DECODER = 4
"""Of a CPU that computes too: each thread that decodes takes a core from the network."""
MOST_DECODERS = 16
"""Of a pass that decodes every image: more only hold more batches in memory."""


@dataclass(frozen=True)
class LoadingChoices:
    """How batches are prepared."""

    workers: Choice[int]
    prefetch: Choice[int]
    pin_memory: Choice[bool]
    augment_on: Choice[str]


def choose_threads(asked: int | None, machine: Machine) -> Choice[int]:
    """Threads of one operation on the CPU: the usable cores, never the host's."""
    if asked is not None:
        return Choice(asked, "asked for", "user")
    cores = machine.cores
    by = "" if cores.source == "host" else f", limited by {cores.source}"
    return Choice(cores.value, f"the usable cores{by}", "rule")


def choose(
    asked_workers: int | None,
    tier: Tier,
    device: Device,
    machine: Machine,
    capabilities: Capabilities,
    readers: int = 0,
    *,
    batch_bytes: int,
    allowed_bytes: int | None,
) -> LoadingChoices:
    """Decoding threads, what they prepare ahead, pinned memory, and where to augment.

    On a CPU, `batch_bytes` are those of a batch that is made ahead, and `allowed_bytes` those that
    the run may take.
    """
    workers = choose_workers(asked_workers, tier, device, machine, readers)
    if device.kind == "cpu":
        workers = within_share(workers, batch_bytes, allowed_bytes)
    return LoadingChoices(
        workers,
        choose_prefetch(workers.value, tier),
        choose_pinning(capabilities),
        choose_augment_on(device, capabilities),
    )


def choose_workers(
    asked: int | None, tier: Tier, device: Device, machine: Machine, readers: int = 0
) -> Choice[int]:
    """Decoding threads of the training process: Pillow lets others run while it decodes.

    `readers` is how many the images need at least because a server lets them wait.
    """
    if asked is not None:
        return Choice(asked, "asked for", "user")
    cores = machine.cores.value
    if readers > min(tier.workers, cores):
        reason = "threads read from the server, which lets each of them wait"
        return Choice(readers, reason, "rule", {"cores": cores})
    evidence = {"cores": cores, "most": tier.workers}
    if device.kind != "cpu":
        count = min(tier.workers, cores)
        reason = f"decoding threads for {cores} usable cores, {tier.workers} at most"
        return Choice(count, reason, "rule", evidence)
    if cores == 1:
        return Choice(0, "the only core decodes and computes in turn", "rule", evidence)
    count = min(tier.workers, max(1, cores // CORES_PER_DECODER))
    ahead = "one thread decodes" if count == 1 else f"{count} threads decode"
    return Choice(count, f"{ahead} ahead while the network computes", "rule", evidence)


def varied_bytes(images: int, side: int) -> int:
    """Bytes of a batch as threads make it ahead on a CPU: float32 [N, 3, S, S]."""
    return images * 3 * side**2 * 4


def batches_held(workers: int, prefetch: int) -> int:
    """Batches that threads hold at most, the one in use among them: see `data.ahead`."""
    return max(workers, prefetch) + 1 if workers else 0


def within_share(workers: Choice[int], batch_bytes: int, allowed_bytes: int | None) -> Choice[int]:
    """No more threads on a CPU than hold a small share of the run's RAM, but one at least.

    Each makes a whole batch. As many as were asked for.
    """
    if workers.source == "user" or allowed_bytes is None:
        return workers
    most = threads_within(batch_bytes, allowed_bytes)
    if workers.value <= most:
        return workers
    room = int(AHEAD_SHARE * allowed_bytes)
    reason = f"{format_bytes(room)} for batches of {format_bytes(batch_bytes)}, one for each thread"
    evidence = {"batch_bytes": batch_bytes, "room_bytes": room, "wanted": workers.value}
    return Choice(most, reason, "rule", evidence)


def threads_within(batch_bytes: int, allowed_bytes: int) -> int:
    """The most threads whose batches, with the one in use, take a small share of the run's RAM."""
    return max(1, int(AHEAD_SHARE * allowed_bytes) // batch_bytes - 1)


def decoders(workers: Choice[int], cores: int) -> int:
    """Threads of a pass that decodes every image and keeps none: all cores but one.

    Never fewer than in training, where kept pixels may leave them nothing to do; as many as were
    asked for, or as a plan file says.
    """
    if workers.source == "user":
        return workers.value
    return max(1, workers.value, min(cores - 1, MOST_DECODERS))


def choose_prefetch(workers: int, tier: Tier) -> Choice[int]:
    """Batches prepared ahead: the tier's, and at least one for each thread."""
    if workers == 0:
        return Choice(0, "no thread prepares batches ahead", "rule")
    if workers > tier.prefetch:
        return Choice(workers, "batches ahead: one for each decoding thread", "rule")
    return Choice(tier.prefetch, "batches ahead: the tier's", "rule")


def choose_pinning(capabilities: Capabilities) -> Choice[bool]:
    """Pinned memory where the device copies from it while it computes."""
    if capabilities.pinned_memory:
        return Choice(True, "copies to the device run while it computes", "rule")
    return Choice(False, "only CUDA devices copy from it", "rule")


def has_kernels(capabilities: Capabilities) -> bool:
    """Whether Triton compiles for this kind of device, and is installed."""
    return capabilities.triton and find_spec("triton") is not None


def choose_augment_on(device: Device, capabilities: Capabilities) -> Choice[str]:
    """On the device, which is faster, unless it can't resample images."""
    if not capabilities.resampling:
        return Choice("cpu", f"{device.kind} can't be relied on to resample images", "rule")
    if device.kind == "cpu":
        return Choice("device", "the CPU is the device", "rule")
    return Choice("device", "a whole batch at once, on the device", "rule")
