"""Images that arrive together pass together, and everyone gets their own answer."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import numpy as np
import pytest

from lacewing.deploy.serve.batching import Batcher


def square(value):
    return np.full((2, 2, 3), value, np.uint8)


def doubled(squares):
    """float32 [N, 1]: twice each square's value."""
    return squares[:, 0, 0, :1].astype(np.float32) * 2


@asynccontextmanager
async def batching(run, size=4, wait_seconds=0.01):
    """A batcher at work, and the sizes of its passes."""
    sizes = []
    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher(run, executor, size=size, wait_seconds=wait_seconds,
                          on_batch=sizes.append)  # fmt: skip
        work = asyncio.create_task(batcher.work())
        yield batcher, sizes
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


def test_what_arrives_together_is_one_pass_and_each_gets_its_own():
    async def main():
        async with batching(doubled) as (batcher, sizes):
            rows = await asyncio.gather(*(batcher.probabilities(square(k)) for k in range(10)))
            return [row.tolist() for row in rows], sizes

    rows, sizes = asyncio.run(main())
    assert rows == [[2.0 * k] for k in range(10)]
    assert sizes == [4, 4, 2]


def test_while_one_pass_computes_the_next_gathers():
    begun, go_on = threading.Event(), threading.Event()

    def slow(squares):
        begun.set()
        go_on.wait(10)
        return doubled(squares)

    async def main():
        async with batching(slow, wait_seconds=0) as (batcher, sizes):
            first = asyncio.create_task(batcher.probabilities(square(1)))
            await asyncio.to_thread(begun.wait, 10)
            others = [asyncio.create_task(batcher.probabilities(square(k))) for k in (2, 3, 4)]
            await asyncio.sleep(0)
            go_on.set()
            await asyncio.gather(first, *others)
            return sizes

    assert asyncio.run(main()) == [1, 3]


def test_an_error_reaches_those_who_wait_and_the_queue_goes_on():
    def picky(squares):
        if squares.max() > 100:
            raise RuntimeError("too bright")
        return doubled(squares)

    async def main():
        async with batching(picky) as (batcher, _):
            with pytest.raises(RuntimeError, match="too bright"):
                await batcher.probabilities(square(200))
            return (await batcher.probabilities(square(5))).tolist()

    assert asyncio.run(main()) == [10.0]


def test_who_gave_up_costs_no_computing():
    async def main():
        async with batching(doubled, size=2, wait_seconds=0.01) as (batcher, sizes):
            gone = asyncio.create_task(batcher.probabilities(square(1)))
            await asyncio.sleep(0)
            gone.cancel()
            await batcher.probabilities(square(2))
            return sizes

    assert asyncio.run(main()) == [1]
