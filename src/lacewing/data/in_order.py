"""Work done by threads, its results in the order of the items."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_WAITING = 4096
"""Items with the threads at once, 2 kB each; with few, one that is slow would hold up all."""


def in_order(
    items: Iterable[Item],
    make: Callable[[Item], Result],
    pool: ThreadPoolExecutor,
    most: int = MOST_WAITING,
) -> Iterator[Result]:
    """`make(item)` for each item, by the threads of a pool that ends with it.

    At most `most` items are taken ahead. An interruption drops what has not begun.
    """
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
