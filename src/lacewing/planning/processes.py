"""What changes in a plan when several processes carry it out together.

Batch, learning rate and the order of the images are those of one process. Each process takes
its part of every batch, on a device of its own, or with its share of the host's cores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lacewing.config import TrainConfig
from lacewing.errors import DeviceError, PlanError
from lacewing.hardware.machine import Device, Limit, Machine
from lacewing.hardware.ranks import Ranks
from lacewing.planning.plan import Plan
from lacewing.values import Choice

SYNCHRONISED_BELOW = 16
"""Images of one process's pass below which BatchNorm's statistics are those of all processes:
its error grows fast there (Wu and He 2018, arXiv:1803.08494, figure 1)."""


def passes(batch: int, processes: int, micro_batch: int) -> int:
    """Passes of every process in a step, however the batch's images are dealt out.

    No process has an empty one: BatchNorms that speak to each other need as many of all.
    """
    largest, least = -(-batch // processes), batch // processes
    return min(least, -(-largest // micro_batch))


def synchronises(plan: Plan, config: TrainConfig, ranks: Ranks) -> bool:
    """Whether BatchNorm's statistics are those of all processes."""
    small = plan.micro_batch.value < SYNCHRONISED_BELOW
    return ranks.world > 1 and small and not config.freeze_norms


def with_processes(plan: Plan, config: TrainConfig, ranks: Ranks) -> Plan:
    """The plan of one process, dealt out to several. Raises PlanError if they are too many."""
    if ranks.world == 1:
        return plan
    batch = plan.batch.value
    if batch < ranks.world:
        raise PlanError(
            f"A batch of {batch} images can't be shared by {ranks.world} processes: ask for "
            f"--batch-size {ranks.world} or more, or start fewer processes."
        )
    part = -(-batch // ranks.world)
    micro = min(plan.micro_batch.value, part)
    count = passes(batch, ranks.world, micro)
    shared = f"of the batch's {batch} images, {ranks.world} processes take {part} each"
    dealt = replace(
        plan,
        micro_batch=Choice(micro, shared, "rule") if micro == part else plan.micro_batch,
        accumulation=Choice(
            count,
            f"{'one pass' if count == 1 else 'passes'} per process",
            "rule",
            {"processes": ranks.world},
        ),
        notes=(*plan.notes, note_of(ranks)),
    )
    return with_norms(dealt) if synchronises(dealt, config, ranks) else dealt


def of_one(plan: Plan) -> Plan:
    """The plan of one process again, of a plan file that was dealt out to several."""
    if "processes" not in plan.accumulation.evidence:
        return plan
    count = passes(plan.batch.value, 1, plan.micro_batch.value)
    return replace(plan, accumulation=Choice(count, "passes of one process", "rule"))


def with_norms(plan: Plan) -> Plan:
    """The plan of a network whose BatchNorms speak to the other processes."""
    off = Choice("off", "BatchNorm asks the other processes within a pass", "rule")
    note = (
        f"BatchNorm's statistics are those of all processes: {plan.micro_batch.value} images of "
        "one process's pass are too few."
    )
    return replace(plan, compile=off, notes=(*plan.notes, note))


def note_of(ranks: Ranks) -> str:
    """What the user should know."""
    return (
        f"{ranks.world} processes train together; batch, learning rate and order of the images "
        "are those of one."
    )


def of_process(plan: Plan, ranks: Ranks, visible: int, environment: Mapping[str, str]) -> Plan:
    """The plan with the device of this process, of `visible` ones. Raises DeviceError."""
    kind = plan.device.value.partition(":")[0]
    if ranks.world == 1 or kind == "cpu":
        return plan
    isolated = visible == 1 and "CUDA_VISIBLE_DEVICES" in environment
    if visible < ranks.local_world and not isolated:
        raise DeviceError(
            f"{ranks.local_world} processes were started on a host with {visible} {kind} "
            f"device{'s' * (visible != 1)}: start one per device "
            f"(torchrun --nproc-per-node {visible}), or use --device cpu."
        )
    address = f"{kind}:{0 if visible == 1 else ranks.local}"
    return replace(plan, device=replace(plan.device, value=address))


def share_of(machine: Machine, processes: int) -> Machine:
    """What one of several processes on a machine may use of its cores and its RAM."""
    if processes == 1:
        return machine
    by = f"{processes} processes on this host"
    cores = Limit(value=max(1, machine.cores.value // processes), source=by)
    memory = Limit(value=machine.memory.value // processes, source=by)
    free = machine.memory_free_bytes // processes
    return replace(machine, cores=cores, memory=memory, memory_free_bytes=free, processes=processes)


def least_of(machines: Sequence[Machine]) -> Machine:
    """The first machine with the least that any of them has: what fits there fits everywhere.

    Raises PlanError for machines with other kinds of devices.
    """
    first = machines[0]
    for number, other in enumerate(machines):
        if other.devices[0].kind != first.devices[0].kind:
            raise PlanError(
                f"The hosts have different devices: {first.devices[0].name} on the first, "
                f"{other.devices[0].name} on number {number}; name one that all have, as in "
                f"--device {other.devices[-1].address}."
            )
    return replace(
        first,
        devices=tuple(least_device(device, machines) for device in first.devices),
        cores=min((one.cores for one in machines), key=lambda limit: limit.value),
        memory=min((one.memory for one in machines), key=lambda limit: limit.value),
        memory_free_bytes=min(one.memory_free_bytes for one in machines),
    )


def least_device(device: Device, machines: Sequence[Machine]) -> Device:
    """A device with the least memory, and the precisions and kernels of all of its kind."""
    like = [other for one in machines for other in one.devices if other.kind == device.kind]
    precisions = [p for p in device.precisions if all(p in one.precisions for one in like)]
    totals = [one.total_bytes for one in like if one.total_bytes is not None]
    free = [one.free_bytes for one in like if one.free_bytes is not None]
    return replace(
        device,
        precisions=tuple(precisions),
        pairs=tuple(pair for pair in device.pairs if all(pair in one.pairs for one in like)),
        failed={name: why for one in like for name, why in one.failed.items()},
        failed_kernels={k: why for one in like for k, why in one.failed_kernels.items()},
        total_bytes=min(totals, default=None),
        free_bytes=min(free, default=None),
    )
