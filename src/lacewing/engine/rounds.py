"""Exchanges between the processes of one step, in which each can say that it has failed.

Processes that compute a step together wait for each other in every exchange. If one runs out of
memory, it must not leave the others waiting, and it can't know for which exchange they wait. So
all exchanges of a step have one shape, with a mark in front: the failed process takes part in
exactly one more and marks it, and the others learn of it there, wherever they are.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

Gather = Callable[[Tensor], Tensor]
"""Takes this process's vector [W] and returns everyone's, [world, W], by rank."""


class PartnerFailedError(Exception):
    """Another process has given this step up."""


@dataclass
class Rounds:
    """The exchanges of one step after another."""

    gather: Gather
    width: int = 0
    """Most numbers of one exchange."""
    closed: bool = field(default=False, init=False)
    """Whether the step's last exchange is done: everyone has computed."""
    over: bool = field(default=False, init=False)
    """Whether all that is left of the step is each process's own: changing the weights."""

    def __deepcopy__(self, memo: dict[int, object]) -> "Rounds":
        """The same: copies of a network speak to the same processes."""
        return self

    def begin(self) -> None:
        """Another attempt at a step."""
        self.closed = self.over = False

    def exchange(self, numbers: Tensor) -> Tensor:
        """Everyone's numbers float32 [world, n], by rank, for one's own [n], n <= width.

        Raises PartnerFailedError if another process has given up.
        """
        mine = torch.zeros(1 + self.width)
        mine[1 : 1 + len(numbers)] = numbers
        everyone = self.gather(mine)
        if everyone[:, 0].any():
            raise PartnerFailedError
        return everyone[:, 1 : 1 + len(numbers)]

    def close(self) -> None:
        """Tell the others that one's part of the step is computed, and wait for theirs.

        Raises PartnerFailedError.
        """
        self.exchange(torch.empty(0))
        self.closed = True

    def give_up(self) -> None:
        """Tell the others that one's part of the step can't be computed."""
        mine = torch.zeros(1 + self.width)
        mine[0] = 1
        self.gather(mine)
