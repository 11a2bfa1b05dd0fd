"""A run that goes on on another machine: what of its plan can't be had there is decided anew."""

from collections.abc import Collection
from dataclasses import replace

from lacewing import console
from lacewing.config import TrainConfig
from lacewing.data.index import ImageIndex
from lacewing.errors import DeviceError, RunError
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.machine import Device, Machine
from lacewing.models.catalog import find_model
from lacewing.performance_config import load_tiers
from lacewing.planning.check import possible_values
from lacewing.planning.document import save_plan
from lacewing.planning.make import make_plan
from lacewing.planning.plan import Plan
from lacewing.planning.rules.device import find_device
from lacewing.store.run import Run, read_json
from lacewing.training.events import EventLog
from lacewing.training.setup import job_of
from lacewing.values import Choice

MAKES_THE_MODEL = ("batch", "image_size", "learning_rate")
"""What stays on every machine, so that the same model comes of it."""
OF_MEMORY = ("memory_bytes", "micro_batch", "accumulation", "eval_batch")


def plan_here(
    plan: Plan,
    config: TrainConfig,
    machine: Machine,
    index: ImageIndex,
    run: Run,
    backends: BackendTable,
) -> Plan:
    """The run's plan; on another kind of machine one that makes the same model.

    What changes is written into the plan's file, into machine.json and, decision by decision, into
    the event log, and said. Raises DeviceError, PlanError where nothing here can carry it on.
    """
    try:
        device = find_device(machine, plan.device.value)
    except DeviceError:
        why = f"{plan.device.value} is not here"
        names = plan.choices().keys() - {*MAKES_THE_MODEL, "memory_share"}
        asked_device = None
    else:
        why = f"this machine can't do all that {run.current_plan.name} says"
        names = impossible(plan, device, machine, backends, cores_before(run, machine))
        asked_device = plan.device.value
    if not names:
        return plan
    moved = decided_anew(plan, names, config, asked_device, machine, index, backends)
    save_plan(moved, run.current_plan)
    machine.save(run.machine)
    tell(plan, moved, why, EventLog(run, console.note))
    return moved


def cores_before(run: Run, machine: Machine) -> int:
    """The cores of the machine on which the plan was made; where that is not known, of this one."""
    try:
        return Machine.from_dict(read_json(run.machine)).cores.value
    except (RunError, KeyError, TypeError, ValueError):
        return machine.cores.value


def impossible(
    plan: Plan, device: Device, machine: Machine, backends: BackendTable, cores: int
) -> set[str]:
    """The decisions that the plan's own device, or the machine around it, can't carry out.

    More threads than cores are as they were where there were no more `cores` when it was made.
    """
    capabilities = backends[device.kind]().capabilities
    possible = possible_values(device, capabilities)
    names = {name for name, values in possible.items() if getattr(plan, name).value not in values}
    for kind in ("", "eval_"):
        pair = [getattr(plan, f"{kind}{what}").value for what in ("precision", "memory_format")]
        if not device.is_right(*pair):
            names |= {f"{kind}precision", f"{kind}memory_format"}
    if machine.cores.value < min(cores, plan.threads.value):
        names.add("threads")
    if machine.cores.value < min(cores, plan.workers.value):
        names |= {"workers", "prefetch"}
    total = machine.memory.value if device.kind == "cpu" else device.total_bytes
    if total is not None and (plan.memory_bytes.value or 0) > total:
        names |= set(OF_MEMORY)
        if plan.pixels.value == "device":  # what lies there is a part of that memory
            names.add("pixels")
    need = float(plan.pixels.evidence.get("need_bytes", 0))
    if plan.pixels.value == "ram" and need > machine.memory_free_bytes:
        names.add("pixels")
    return names


def decided_anew(
    plan: Plan,
    names: Collection[str],
    config: TrainConfig,
    device: str | None,
    machine: Machine,
    index: ImageIndex,
    backends: BackendTable,
) -> Plan:
    """The plan with the named decisions as the rules make them on this machine."""
    # what was asked for on the old machine may not be possible here; the image size stays
    free = replace(
        config,
        device=device,
        precision=None,
        memory_format=None,
        compile=None,
        threads=None,
        image_size=plan.image_size.value,
    )
    job = job_of(free, find_model(config.model), None, index)
    fresh = make_plan(free, machine, job, load_tiers(config.tiers), backends)
    moved = replace(plan, **{name: getattr(fresh, name) for name in names})
    batch = plan.batch.value
    micro = min(moved.micro_batch.value, batch)
    kept = f"keeps the batch of {batch}"
    return replace(
        moved,
        micro_batch=replace(moved.micro_batch, value=micro),
        accumulation=Choice(-(-batch // micro), kept, "rule")
        if "accumulation" in names
        else plan.accumulation,
    )


def tell(old: Plan, new: Plan, why: str, events: EventLog) -> None:
    """One event for each decision that is another one now, and one sentence on the screen."""
    before, after = old.choices(), new.choices()
    changed = [name for name in before if before[name].value != after[name].value]
    for name in changed:
        was, now = before[name].value, after[name].value
        events.record(
            "plan-change",
            f"{name}: {was} -> {now} ({after[name].reason})",
            field=name,
            old=was,
            new=now,
            reason=after[name].reason,
        )
    said = ", ".join(f"{name} {before[name].value} -> {after[name].value}" for name in changed)
    events.add(
        "moved",
        f"{why}: the run goes on on {new.device.value} with the same batch, image size and "
        f"learning rate" + (f"; {said}" if said else ""),
        old=old.device.value,
    )
