"""Which process of how many this one is, by what its launcher has set in the environment.

torchrun, Kubernetes' PyTorchJob and Ray Train set RANK, WORLD_SIZE and MASTER_ADDR; srun sets
its own variables. Without any of them there is one process.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lacewing.errors import ConfigError

PORTS = range(20000, 30000)
"""Of which one is taken by the number of a SLURM job, where none is named."""
STEP = frozenset(("SLURM_STEP_NUM_TASKS", "SLURM_STEP_ID"))


@dataclass(frozen=True)
class Ranks:
    """The place of one process among those that train together."""

    rank: int = 0
    """0 leads: it decides, prints and writes."""
    world: int = 1
    """Processes in all."""
    local: int = 0
    """Number among those of this host."""
    local_world: int = 1
    """Processes of this host, which share its cores and its memory."""
    address: str = ""
    """Host and port at which they meet, "node1:29500"."""
    restarts: int = 0
    """How often torchrun has started them anew."""

    def part(self, count: int) -> range:
        """This process's part of `count` things: all parts follow each other without a gap.

        Their sizes differ by at most one, as those of `numpy.array_split`.
        """
        least, larger = divmod(count, self.world)
        first = self.rank * least + min(self.rank, larger)
        return range(first, first + least + (self.rank < larger))


ALONE = Ranks()


def ranks_here(environment: Mapping[str, str]) -> Ranks:
    """The place of this process. Raises ConfigError for variables that contradict each other."""
    if "RANK" in environment and "WORLD_SIZE" in environment:
        return of_torch(environment)
    # a batch script has SLURM_PROCID too, but it is run once: only srun counts a step's tasks
    if "SLURM_PROCID" in environment and STEP.intersection(environment):
        return of_slurm(environment)
    return ALONE


def of_torch(environment: Mapping[str, str]) -> Ranks:
    """RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT."""
    world = number(environment, "WORLD_SIZE", 1)
    host = environment.get("MASTER_ADDR", "")
    if world > 1 and not host:
        raise ConfigError(
            f"WORLD_SIZE is {world}, but MASTER_ADDR is not set: start the processes by "
            "`torchrun -m lacewing train ...`, or unset WORLD_SIZE to train in one."
        )
    return checked(
        Ranks(
            rank=number(environment, "RANK", 0),
            world=world,
            local=number(environment, "LOCAL_RANK", 0),
            local_world=number(environment, "LOCAL_WORLD_SIZE", 1),
            address=f"{host}:{number(environment, 'MASTER_PORT', 29500)}",
            restarts=number(environment, "TORCHELASTIC_RESTART_COUNT", 0),
        )
    )


def of_slurm(environment: Mapping[str, str]) -> Ranks:
    """What srun sets; the first host of the step is where the processes meet."""
    tasks = environment.get("SLURM_STEP_TASKS_PER_NODE") or environment.get("SLURM_TASKS_PER_NODE")
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_NODELIST", "")
    job = number(environment, "SLURM_JOB_ID", 0)
    port = number(environment, "MASTER_PORT", PORTS[job % len(PORTS)])
    local = number(environment, "SLURM_LOCALID", 0)
    counts = tasks_per_node(tasks or "1")
    node = number(environment, "SLURM_NODEID", 0)
    steps = number(environment, "SLURM_NTASKS", 1)
    return checked(
        Ranks(
            rank=number(environment, "SLURM_PROCID", 0),
            world=number(environment, "SLURM_STEP_NUM_TASKS", steps),
            local=local,
            local_world=counts[node] if node < len(counts) else local + 1,
            address=f"{environment.get('MASTER_ADDR') or first_host(nodes)}:{port}",
        )
    )


def checked(ranks: Ranks) -> Ranks:
    """The same, if it can be. Raises ConfigError."""
    if not 0 <= ranks.rank < ranks.world or not 0 <= ranks.local < ranks.local_world:
        raise ConfigError(
            f"The environment says that this is process {ranks.rank} of {ranks.world} "
            f"({ranks.local} of {ranks.local_world} on this host), which can't be: start it by "
            "torchrun or srun, or unset RANK and WORLD_SIZE to train in one process."
        )
    return ranks


def number(environment: Mapping[str, str], name: str, usual: int) -> int:
    """A variable as a number. Raises ConfigError."""
    value = environment.get(name) or str(usual)
    if not value.isascii() or not value.isdigit():
        raise ConfigError(f"The environment variable {name} must be a number, not {value!r}.")
    return int(value)


def tasks_per_node(text: str) -> list[int]:
    """SLURM's short form: "2(x3),1" -> [2, 2, 2, 1]."""
    counts: list[int] = []
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", text):
        counts += [int(count)] * int(times or 1)
    return counts


def first_host(nodes: str) -> str:
    """The first of SLURM's host list: "gpu[07-09,12]" -> "gpu07", "a1,a2" -> "a1"."""
    match = re.match(r"([^\[,]+)(?:\[(\d+)[^\]]*\])?([^,\[]*)", nodes)
    return "".join(part or "" for part in match.groups()) if match else "localhost"
