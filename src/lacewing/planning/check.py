"""Can a plan from a file be carried out to the letter here, and where does this machine differ?"""

from math import ceil
from typing import Any

from lacewing.config import TrainConfig
from lacewing.errors import PlanError
from lacewing.hardware.backend import BackendTable, Capabilities
from lacewing.hardware.backends import BACKENDS
from lacewing.hardware.machine import Device, Machine
from lacewing.planning.job import Job
from lacewing.planning.plan import Plan
from lacewing.planning.rules.compile import compiled_anew, possible_modes
from lacewing.planning.rules.device import choose_tier, find_device
from lacewing.planning.rules.image_size import nearest_size
from lacewing.planning.rules.kernel import right_kernels
from lacewing.planning.rules.loading import has_kernels
from lacewing.planning.rules.memory import free_bytes
from lacewing.values import format_bytes


def check_plan(plan: Plan, machine: Machine, backends: BackendTable = BACKENDS) -> tuple[str, ...]:
    """Sentences on where the machine is not what the plan was made for; none if it fits.

    Raises DeviceError if the plan's device is not here, and PlanError if the device can't do
    what the plan says or the plan contradicts itself.
    """
    check_arithmetic(plan)
    device = find_device(machine, plan.device.value)
    check_possible(plan, device, backends[device.kind]().capabilities)
    return tuple(note for note in differences(plan, machine, device) if note)


def check_arithmetic(plan: Plan) -> None:
    """Raise PlanError unless the passes make up the batch."""
    batch, micro, passes = plan.batch.value, plan.micro_batch.value, plan.accumulation.value
    if micro > batch:
        raise PlanError(
            f"The plan's micro_batch {micro} is over its batch {batch}: lower micro_batch or "
            "raise batch in the plan file."
        )
    needed = ceil(batch / micro)
    if passes != needed:
        raise PlanError(
            f"The plan's accumulation is {passes}, but its batch {batch} in passes of at most "
            f"{micro} images takes {needed}: set accumulation to {needed} in the plan file."
        )


def check_work(plan: Plan, job: Job) -> None:
    """Raise PlanError for a batch above the images, or a size that the network refuses."""
    batch, images = plan.batch.value, job.training_images
    if batch > images:
        raise PlanError(
            f"The plan's batch {batch} is over the {images} training images there are: set batch "
            f"to {images} or less in the plan file, with micro_batch, accumulation and "
            "learning_rate to go with it, or make a new plan."
        )
    size = plan.image_size.value
    fitting = job.native_size if job.fixed_size else nearest_size(size, job)
    if size != fitting:
        raise PlanError(
            f"{job.model} can't take the plan's image_size {size}: set it to {fitting} in the "
            "plan file, or make a new plan."
        )


def check_compiles_once(config: TrainConfig, plan: Plan) -> None:
    """Raise PlanError where the plan compiles what would be compiled again and again."""
    anew_for = compiled_anew(config)
    if anew_for and plan.compile.value != "off":
        flag = "progressive-resizing" if config.progressive_resizing else "gradual-unfreezing"
        raise PlanError(
            f"The plan file {config.plan} has compile: {plan.compile.value}, but {anew_for} would "
            f"be compiled anew: set it to off there, or leave out --{flag}."
        )


def check_possible(plan: Plan, device: Device, capabilities: Capabilities) -> None:
    """Raise PlanError for a decision that the device can't carry out."""
    for name, possible in possible_values(device, capabilities).items():
        value = plan.choices()[name].value
        if value not in possible:
            words = " or ".join(str(word).lower() for word in possible)
            raise PlanError(
                f"The plan's {name} {str(value).lower()} is not possible on {device.name} "
                f"({device.address}): set it to {words} in the plan file, or make a new plan."
            )
    for kind in ("", "eval_"):
        precision = plan.choices()[f"{kind}precision"].value
        memory_format = plan.choices()[f"{kind}memory_format"].value
        if not device.is_right(precision, memory_format):
            raise PlanError(
                f"{device.name} ({device.address}) failed its test in {precision} "
                f"{memory_format}, which the plan asks for: set {kind}memory_format to "
                "contiguous in the plan file, or make a new plan."
            )


def possible_values(device: Device, capabilities: Capabilities) -> dict[str, tuple[Any, ...]]:
    """The values that the device can carry out, of each decision where not all are."""
    return {
        "precision": device.precisions,
        "memory_format": capabilities.memory_formats,
        "compile": possible_modes(capabilities, device),
        "optimizer_kernel": ("plain", *right_kernels(device, capabilities)),
        "eval_precision": device.precisions,
        "eval_memory_format": capabilities.memory_formats,
        "pixels": ("ram", "disk", "none") + (() if device.kind == "cpu" else ("device",)),
        "augment_on": (
            *(("device",) if capabilities.resampling else ()),
            *(("kernel",) if has_kernels(capabilities) else ()),
            "cpu",
        ),
        "pin_memory": (True, False) if capabilities.pinned_memory else (False,),
    }


def differences(plan: Plan, machine: Machine, device: Device) -> list[str | None]:
    """A sentence for each amount that the plan takes for granted and the machine lacks."""
    return [
        _other_tier(plan, device),
        _less_memory(plan, free_bytes(device, machine)),
        _less_room_for_pixels(plan, machine),
        _more_threads("threads", plan.threads.value, machine),
        _more_threads("workers", plan.workers.value, machine),
    ]


def _other_tier(plan: Plan, device: Device) -> str | None:
    here = choose_tier(device)
    if here.value == plan.tier.value:
        return None
    return (
        f"The plan is for the {plan.tier.value} tier, but {device.name} is in the {here.value} "
        f"one ({here.reason})."
    )


def _less_memory(plan: Plan, free: int | None) -> str | None:
    wanted = plan.memory_bytes.value
    if wanted is None or free is None or wanted <= free:
        return None
    return (
        f"The plan may take {format_bytes(wanted)} of memory on {plan.device.value}, but only "
        f"{format_bytes(free)} are free here."
    )


def _less_room_for_pixels(plan: Plan, machine: Machine) -> str | None:
    need = plan.pixels.evidence.get("need_bytes")
    free = machine.memory_free_bytes
    if plan.pixels.value != "ram" or not isinstance(need, int | float) or need <= free:
        return None
    return (
        f"The plan keeps {format_bytes(need)} of decoded images in RAM, but only "
        f"{format_bytes(free)} are free here: set pixels to disk or none."
    )


def _more_threads(name: str, wanted: int, machine: Machine) -> str | None:
    cores = machine.cores
    if wanted <= cores.value:
        return None
    return f"The plan's {name} {wanted} are more than the {cores.value} usable cores here."
