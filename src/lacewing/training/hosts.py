"""The machines of all processes, looked at as one; and the device of each process."""

import os
from dataclasses import replace

from lacewing.config import TrainConfig
from lacewing.errors import ConfigError, LacewingError, PlanError
from lacewing.hardware.backend import BackendTable
from lacewing.hardware.backends import backend_for
from lacewing.hardware.inspect import inspect
from lacewing.hardware.machine import Machine
from lacewing.planning.plan import Plan
from lacewing.planning.processes import least_of, of_process, share_of
from lacewing.training.distributed import Team


def common_machine(config: TrainConfig, team: Team, backends: BackendTable) -> Machine:
    """What every process has: one of each host looks, and the least of all counts.

    Raises a UserError, in all processes, if one can't be used.
    """
    if team.alone:
        return inspect(config.device, backends, config.output)
    team.first(lambda: refuse_numbers(config))
    looked = look(config, team, backends) if team.ranks.local == 0 else None
    everyone = team.gather(looked)
    return team.first(lambda: least_of(usable([one for one in everyone if one is not None])))


def refuse_numbers(config: TrainConfig) -> None:
    """Raise ConfigError for one device of several: each process has its own."""
    if config.device is not None and ":" in config.device:
        kind = config.device.partition(":")[0]
        raise ConfigError(
            f"--device {config.device} is one device, and each process takes its own: use "
            f"--device {kind}, and CUDA_VISIBLE_DEVICES to choose among them."
        )


def look(config: TrainConfig, team: Team, backends: BackendTable) -> Machine | str:
    """This host, as far as one of its processes may use it; or why it can't be used."""
    try:
        machine = inspect(config.device, backends, config.output)
    except LacewingError as error:
        return str(error)
    return share_of(machine, team.ranks.local_world)


def usable(hosts: list[Machine | str]) -> list[Machine]:
    """The hosts' machines. Raises PlanError with the reason of the first that can't be used."""
    for number, host in enumerate(hosts):
        if isinstance(host, str):
            raise PlanError(f"On host number {number}: {host}")
    return [host for host in hosts if isinstance(host, Machine)]


def own_plan(plan: Plan, team: Team, backends: BackendTable) -> Plan:
    """The plan of this process: on its own device. Raises DeviceError."""
    if team.alone or plan.device.value == "cpu":
        return plan
    backend, _ = backend_for(plan.device.value, backends)
    return of_process(plan, team.ranks, len(backend.find()), os.environ)


def with_threads(plan: Plan, machine: Machine, team: Team) -> Plan:
    """A resumed run's plan, whose threads may have been those of more processes, or fewer."""
    if team.alone or plan.threads.source == "user":
        return plan
    return replace(plan, threads=replace(plan.threads, value=machine.cores.value))
