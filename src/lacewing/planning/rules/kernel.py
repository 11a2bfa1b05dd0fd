"""Which of the optimiser's kernels: one loop over all parameters, or one for each."""

from lacewing.hardware.backend import Capabilities
from lacewing.hardware.machine import Device
from lacewing.planning.job import Job
from lacewing.values import Choice


def choose(job: Job, device: Device, capabilities: Capabilities) -> Choice[str]:
    """The fastest kernel that the optimiser has and the device gets right."""
    but = "".join(
        f"; {kernel} failed its test ({why})"
        for kernel, why in device.failed_kernels.items()
        if kernel in job.optimizer_kernels
    )
    for kernel in ("fused", "foreach"):
        if kernel in job.optimizer_kernels and kernel in right_kernels(device, capabilities):
            return Choice(kernel, f"{job.optimizer} has it for {device.kind}{but}", "rule")
    return Choice("plain", f"{job.optimizer} has no faster one for {device.kind}{but}", "rule")


def right_kernels(device: Device, capabilities: Capabilities) -> tuple[str, ...]:
    """Of foreach and fused: the kernels of its kind that the device did not fail in its test."""
    return tuple(k for k in capabilities.optimizer_kernels if k not in device.failed_kernels)
