"""The processes that train one network together: how they meet, and what they say to each other.

Every process has the whole network and takes its part of each batch. Rank 0 leads: it looks,
decides, prints and writes, and the others get its decisions. Where there is one process, every
method below answers by itself, and torch.distributed is not even imported.
"""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from lacewing.errors import ConfigError, GroupError, LacewingError, ToldError
from lacewing.hardware.ranks import ALONE, Ranks, ranks_here
from lacewing.values import first_line

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

T = TypeVar("T")

USUAL_TIMEOUT = 600.0
PATIENCE = timedelta(days=1)
"""For what rank 0 does alone: a trial, a feature pass. A process that ends is noticed at once."""
BUCKET_BYTES = 32 * 2**20
"""Gradients that are summed at once: large enough for the bandwidth, small beside a network."""


@dataclass(frozen=True)
class Team:
    """This process's place among the others, and the groups that it speaks in."""

    ranks: Ranks = ALONE
    steps: "ProcessGroup | None" = None
    """For what every step needs; on the CPU."""
    patient: "ProcessGroup | None" = None
    """For what may take long."""
    device: "ProcessGroup | None" = None
    """For sums of tensors on the device, where the device has its own way (NCCL)."""

    @property
    def alone(self) -> bool:
        """Whether there is one process."""
        return self.ranks.world == 1

    @property
    def leads(self) -> bool:
        """Whether this process decides, prints and writes."""
        return self.ranks.rank == 0

    def first(self, work: Callable[[], T]) -> T:
        """What rank 0 finds, in every process. Raises what `work` raises; elsewhere ToldError."""
        return work() if self.alone else self._told(work)

    def only_first(self, work: Callable[[], T]) -> T | None:
        """The same, but the others learn only that it went well, and get None."""
        if self.alone:
            return work()
        kept: list[T] = []
        self._told(lambda: kept.append(work()))
        return kept[0] if kept else None

    def first_then(self, work: Callable[[], T]) -> T:
        """Each process works, the others after rank 0: so they find what it made."""
        found = self.only_first(work)
        return work() if found is None else found

    def _told(self, work: Callable[[], T]) -> Any:
        if not self.leads:
            return received(self._broadcast(None))
        try:
            found = work()
        except LacewingError as error:
            self._broadcast((None, (str(error), error.exit_code)))
            raise
        self._broadcast((found, None))
        return found

    def _broadcast(self, message: Any) -> Any:
        import torch.distributed as dist

        box = [message]
        with explained(self.ranks):
            dist.broadcast_object_list(box, src=0, group=self.patient)
        return box[0]

    def gather(self, thing: T) -> list[T]:
        """Every process's thing by rank, at rank 0; nothing elsewhere."""
        if self.alone:
            return [thing]
        import torch.distributed as dist

        things: list[Any] | None = [None] * self.ranks.world if self.leads else None
        with explained(self.ranks):
            dist.gather_object(thing, things, dst=0, group=self.patient)
        return things or []

    def most(self, *numbers: int) -> list[int]:
        """The largest that any process gave, of each of these small numbers."""
        if self.alone:
            return list(numbers)
        import torch.distributed as dist

        largest = torch.tensor(numbers, dtype=torch.int64)
        with explained(self.ranks):
            dist.all_reduce(largest, dist.ReduceOp.MAX, group=self.steps)
        return [int(number) for number in largest]

    def any(self, wanted: bool) -> bool:
        """Whether any process wants it."""
        return bool(self.most(int(wanted))[0])

    def everyone(self, mine: Tensor) -> Tensor:
        """All processes' vectors [W] on the CPU as [world, W], by rank."""
        if self.alone:
            return mine.unsqueeze(0)
        import torch.distributed as dist

        all_of_them = [torch.empty_like(mine) for _ in range(self.ranks.world)]
        with explained(self.ranks):
            dist.all_gather(all_of_them, mine, group=self.steps)
        return torch.stack(all_of_them)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, the same bits in all of them."""
        for bucket in buckets(tensors, BUCKET_BYTES):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            summed = self._summed(flat)
            parts = summed.split([tensor.numel() for tensor in bucket])
            for tensor, part in zip(bucket, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))

    def _summed(self, flat: Tensor) -> Tensor:
        import torch.distributed as dist

        there = flat if self.device is not None else flat.cpu()
        with explained(self.ranks):
            dist.all_reduce(there, group=self.device or self.steps)
        return there


def buckets(tensors: Sequence[Tensor], size: int) -> Iterator[list[Tensor]]:
    """The tensors in their order, in lists of one type and about `size` bytes."""
    bucket: list[Tensor] = []
    filled = 0
    for tensor in tensors:
        full = filled >= size or (bucket and bucket[0].dtype != tensor.dtype)
        if full:
            yield bucket
            bucket, filled = [], 0
        bucket.append(tensor)
        filled += tensor.numel() * tensor.element_size()
    if bucket:
        yield bucket


def received(message: Any) -> Any:
    """What rank 0 found. Raises ToldError if it failed."""
    found, failure = message
    if failure is not None:
        raise ToldError(*failure)
    return found


@contextlib.contextmanager
def explained(ranks: Ranks) -> Iterator[None]:
    """What torch raises when another process is gone or silent, as a GroupError."""
    try:
        yield
    except RuntimeError as error:  # gloo's, NCCL's and the store's errors are of this type
        raise GroupError(
            f"Process {ranks.rank} of {ranks.world} lost the others: one of them ended, or can't "
            f"be reached ({first_line(error)}); the same command with --resume auto goes on from "
            "the last checkpoint, and `torchrun --max-restarts 3` does so by itself."
        ) from None


@contextlib.contextmanager
def joined(environment: Mapping[str, str] | None = None) -> Iterator[Team]:
    """Meet the other processes that the environment speaks of; nothing to do for one process.

    Inside the block only rank 0 is heard. A group that is there already, as in Ray Train's
    workers, is used and left as it is. Raises ConfigError for an environment that can't be,
    GroupError where the others don't come within $LACEWING_GROUP_TIMEOUT seconds.
    """
    environment = os.environ if environment is None else environment
    ranks = ranks_here(environment)
    if ranks.world == 1:
        yield Team()
        return
    with membership(ranks, timeout_of(environment)) as team, silence(not team.leads):
        yield team


def timeout_of(environment: Mapping[str, str]) -> timedelta:
    """How long a process waits for another one in a step. Raises ConfigError."""
    asked = environment.get("LACEWING_GROUP_TIMEOUT") or str(USUAL_TIMEOUT)
    try:
        return timedelta(seconds=float(asked))
    except (ValueError, OverflowError):
        raise ConfigError(f"LACEWING_GROUP_TIMEOUT must be seconds, not {asked!r}.") from None


@contextlib.contextmanager
def membership(ranks: Ranks, timeout: timedelta) -> Iterator[Team]:
    """The groups of a team, left at the end of the block."""
    import torch.distributed as dist

    own = not dist.is_initialized()
    if own:
        meet(ranks, timeout)
    try:
        with explained(ranks):
            steps = group_of_all("gloo", timeout)
            patient = group_of_all("gloo", max(PATIENCE, timeout))
        yield Team(ranks, steps, patient)
    finally:
        if own:
            dist.destroy_process_group()


def group_of_all(backend: str, timeout: timedelta | None) -> "ProcessGroup":
    """A group of all processes; torch's usual timeout if none is given."""
    import torch.distributed as dist

    group = dist.new_group(backend=backend, timeout=timeout)
    assert not isinstance(group, int)  # torch's mark for who is no member
    return group


def meet(ranks: Ranks, timeout: timedelta) -> None:
    """Open the default group. Raises GroupError."""
    import torch.distributed as dist

    try:
        dist.init_process_group(
            "gloo",
            store=store_of(ranks, timeout),
            rank=ranks.rank,
            world_size=ranks.world,
            timeout=timeout,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise GroupError(
            f"Process {ranks.rank} of {ranks.world} on {socket.gethostname()} could not meet the "
            f"others at {ranks.address} within {timeout.total_seconds():.0f} s "
            f"({first_line(error)}): check that all were started, that they can reach that "
            "address, and that no other training uses its port."
        ) from None


def store_of(ranks: Ranks, timeout: timedelta) -> Any:
    """Where the processes find each other: torchrun's own store, or one of rank 0's.

    torchrun keeps its store when it starts them anew, with the addresses of those that are gone,
    so on one host each start has its own names. Hosts count their restarts each for themselves.
    """
    import torch.distributed as dist

    host, _, port = ranks.address.rpartition(":")
    launched = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    leads = ranks.rank == 0 and not launched
    open_store: Any = vars(dist)["TCPStore"]  # torch documents it and its types hide it
    store = open_store(host, int(port), None, leads, timeout=timeout, wait_for_workers=False)
    start = ranks.restarts if ranks.local_world == ranks.world else 0
    return vars(dist)["PrefixStore"](f"lacewing/{start}", store)


@contextlib.contextmanager
def silence(wanted: bool) -> Iterator[None]:
    """Say nothing inside the block, if wanted."""
    if not wanted:
        yield
        return
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def with_device_group(team: Team, kind: str) -> Team:
    """The team with a group of its own for sums on the device, where torch has one for it."""
    import torch.distributed as dist

    if team.alone or kind != "cuda" or not dist.is_nccl_available():
        return team
    with explained(team.ranks):
        group = group_of_all("nccl", None)
    return Team(team.ranks, team.steps, team.patient, group)
