"""Which of the optimiser's kernels: one loop over all parameters, or one for each."""

from lacewing.hardware.backend import Capabilities
from lacewing.hardware.machine import Device
from lacewing.planning.job import Job
from lacewing.values import Choice


def choose(job: Job, device: Device, capabilities: Capabilities) -> Choice[str]:
    """The fastest kernel that both the optimiser and the device have."""
    for kernel in ("fused", "foreach"):
        if kernel in job.optimizer_kernels and kernel in capabilities.optimizer_kernels:
            return Choice(kernel, f"{job.optimizer} has it for {device.kind}", "rule")
    return Choice("plain", f"{job.optimizer} has no faster one for {device.kind}", "rule")
