"""Ways to run one pass, and which of them a device, a network and a user leave open."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lacewing.config import TrainConfig
from lacewing.hardware.backend import Capabilities
from lacewing.hardware.machine import Device, Machine
from lacewing.planning.job import Job
from lacewing.planning.plan import Plan
from lacewing.planning.rules.kernel import right_kernels
from lacewing.planning.rules.precision import right_formats

ORDER = ("fp32", "tf32", "bf16", "fp16")
"""Of two ways that are equally fast, the one that stands first is taken."""
PLAIN = "fp32 contiguous"
MANY_CORES = 2
"""Up to so many, all of them compute; above, half of them may do as well."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a pass is run: everything that changes its speed and not its result."""

    precision: str
    memory_format: str
    kernel: str
    """The optimiser's; of no account in a forward-only pass."""
    threads: int
    images: int

    def describe(self) -> str:
        """`"bf16 channels_last"`, with what differs from case to case after it."""
        return f"{self.precision} {self.memory_format}"


def planned(plan: Plan) -> Way:
    """The way in which the plan would train."""
    return Way(
        precision=plan.precision.value,
        memory_format=plan.memory_format.value,
        kernel=plan.optimizer_kernel.value,
        threads=plan.threads.value,
        images=plan.micro_batch.value,
    )


def reference(plan: Plan) -> Way:
    """Full precision in the plain format: what every other way is compared with."""
    precision, memory_format = PLAIN.split()
    return replace(planned(plan), precision=precision, memory_format=memory_format)


def training_ways(
    plan: Plan, config: TrainConfig, device: Device, capabilities: Capabilities
) -> list[Way]:
    """Precisions and formats that passed the device's test, or those that the user asked for."""
    return [
        replace(planned(plan), precision=precision, memory_format=memory_format)
        for precision in _precisions(config, device, capabilities)
        for memory_format in _formats(config, device, capabilities, precision)
    ]


def forward_ways(
    plan: Plan, config: TrainConfig, device: Device, capabilities: Capabilities
) -> list[Way]:
    """The same for forward-only passes."""
    images = plan.eval_batch.value
    return [
        replace(way, images=images) for way in training_ways(plan, config, device, capabilities)
    ]


def nearest_first(ways: Sequence[Way], to: Way) -> list[Way]:
    """The ways in the order in which they are likely to be worth their first passes.

    A way itself; full precision in the plain format, of which a pass is run for its loss anyhow;
    the precision in another format, and other precisions, in the way's format first.
    """

    def distance(way: Way) -> tuple[bool, ...]:
        is_far = way.precision != to.precision, way.memory_format != to.memory_format
        return any(is_far), way.describe() != PLAIN, *is_far

    return sorted(ways, key=distance)


def _precisions(config: TrainConfig, device: Device, capabilities: Capabilities) -> list[str]:
    if config.precision is not None:
        return [config.precision]
    real = ORDER if capabilities.autocast else ("fp32", "tf32")
    return [precision for precision in real if precision in device.precisions]


def _formats(
    config: TrainConfig, device: Device, capabilities: Capabilities, precision: str
) -> Iterable[str]:
    right = right_formats(device, capabilities, precision)
    return right if config.memory_format is None else (config.memory_format,)


def kernel_ways(way: Way, job: Job, device: Device, capabilities: Capabilities) -> list[Way]:
    """The way with each kernel that the optimiser has and the device gets right."""
    kernels = [k for k in job.optimizer_kernels if k in right_kernels(device, capabilities)]
    others = [kernel for kernel in kernels if kernel != way.kernel]
    return [way, *(replace(way, kernel=kernel) for kernel in others)]


def thread_ways(way: Way, config: TrainConfig, device: Device, machine: Machine) -> list[Way]:
    """All usable cores, or half of them: memory, not cores, may be what a CPU lacks."""
    cores = machine.cores.value
    if device.kind != "cpu" or config.threads is not None or cores <= MANY_CORES:
        return [way]
    return [way, replace(way, threads=(cores + 1) // 2)]
