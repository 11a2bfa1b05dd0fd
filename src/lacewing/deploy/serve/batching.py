"""Dynamic batching: images that arrive together pass through the network together."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Waiting:
    """An image and whoever waits for its probabilities."""

    square: np.ndarray
    answer: asyncio.Future[np.ndarray]


class Batcher:
    """Collects squares uint8 [S, S, 3] for a short while and names them in one pass.

    `run` computes uint8 [N, S, S, 3] -> float32 [N, classes] and is called in `executor`,
    never twice at a time; while it computes, the next batch gathers. `on_batch` is told the
    size of each. Belongs to one event loop.
    """

    def __init__(
        self,
        run: Callable[[np.ndarray], np.ndarray],
        executor: Executor,
        *,
        size: int,
        wait_seconds: float,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._run = run
        self._executor = executor
        self._size = size
        self._wait_seconds = wait_seconds
        self._on_batch = on_batch
        self._queue: asyncio.Queue[Waiting] = asyncio.Queue()

    async def probabilities(self, square: np.ndarray) -> np.ndarray:
        """Probabilities float32 [classes] of one square. Raises what `run` raises."""
        answer: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(Waiting(square, answer))
        return await answer

    async def work(self) -> None:
        """Serve the queue until cancelled; run it as one task."""
        while True:
            # whoever gave up in the meantime costs no computing
            batch = [one for one in await self._gather() if not one.answer.done()]
            if batch:
                await self._answer(batch)

    async def _gather(self) -> list[Waiting]:
        first = await self._queue.get()
        if self._queue.qsize() + 1 < self._size:
            await asyncio.sleep(self._wait_seconds)
        others = min(self._size - 1, self._queue.qsize())
        return [first, *(self._queue.get_nowait() for _ in range(others))]

    async def _answer(self, batch: list[Waiting]) -> None:
        self._on_batch(len(batch))
        squares = np.stack([one.square for one in batch])
        loop = asyncio.get_running_loop()
        try:
            rows = await loop.run_in_executor(self._executor, self._run, squares)
        except Exception as error:  # belongs to those who wait, and must not end the queue
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(error)
            return
        for one, row in zip(batch, rows, strict=True):
            if not one.answer.done():
                one.answer.set_result(row)
