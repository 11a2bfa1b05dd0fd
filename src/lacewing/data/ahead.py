"""Work done ahead by threads, in its order."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from lacewing.data.in_order import in_order

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    items: Iterable[Item], make: Callable[[Item], Result], workers: int, prefetch: int
) -> Iterator[Result]:
    """`make(item)` for each item in order, computed ahead by threads; by the caller with 0.

    Each thread computes by itself: torch's own threads stay with the caller.
    """
    if workers == 0:
        yield from map(make, items)
        return
    pool = ThreadPoolExecutor(workers, "load", initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from in_order(items, make, pool, max(prefetch, workers))
    finally:
        torch.set_num_threads(torch.get_num_threads())  # in threads to come too
