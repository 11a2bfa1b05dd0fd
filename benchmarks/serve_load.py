"""The server under load on loopback: with and without dynamic batching, overloaded, for long.

Three questions, each with a client that asks again as soon as it is answered:

1. How many pictures per second, and how long does the slowest hundredth wait, if pictures that
   arrive together pass through the network together, and if each passes alone? Both servers run
   at the same time and are asked in turns.
2. What does a server say that is asked by four times as many clients as it lets in?
3. Does its memory grow over ten thousand requests?

Server and client share the machine's cores, so the rates are a lower bound.

    python benchmarks/serve_load.py [--quick] [--model resnet18] [--image-size 128]
"""

import argparse
import asyncio
import io
import multiprocessing
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil
from PIL import Image

from common import machine_facts, parser, print_table, summary, write_result
from lacewing.deploy.serve.limits import Limits

CLASSES = 102
TOGETHER, ALONE = Limits(), Limits(batch=1, wait_seconds=0.0)
OVERLOAD = 4
BACK_OFF_SECONDS = 0.05
"""Sooner than Retry-After asks for: these clients are rude."""


@dataclass
class Heard:
    """What the clients of one phase were told."""

    statuses: Counter[int] = field(default_factory=Counter)
    without_retry_after: int = 0
    seconds: list[float] = field(default_factory=list)
    """Of each answer that names a picture."""


@dataclass(frozen=True)
class Served:
    """A server in a process of its own."""

    address: str
    process: psutil.Process


def save_network(file: Path, name: str, size: int) -> None:
    """A network with random weights: it computes as long as a trained one."""
    from lacewing.models.build import build_model, preprocessing_for
    from lacewing.models.bundle import save_model
    from lacewing.models.catalog import find_model

    info = find_model(name)
    model = build_model(info, CLASSES, 0.0, None, size)
    fields = {
        "model": name,
        "classes": [f"class {number}" for number in range(CLASSES)],
        "class_ids": list(range(CLASSES)),
        "dropout": 0.0,
        "preprocessing": preprocessing_for(info, size, None).as_dict(),
        "figures": {},
    }
    save_model(file, model.state_dict(), fields)


def run_server(file: Path, limits: Limits, port: Connection) -> None:
    """In the child: serve until the parent ends it."""
    import uvicorn

    from lacewing.deploy.predict import load_predictor
    from lacewing.deploy.serve.app import make_app
    from lacewing.deploy.serve.server import Address, listen

    app = make_app(load_predictor(file, "cpu"), name="load", accuracy=None, limits=limits)
    listening = listen(Address(port=0))
    port.send(listening.getsockname()[1])
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def served(file: Path, limits: Limits) -> Iterator[Served]:
    """A running server, for as long as the block lasts."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    child = spawn.Process(target=run_server, args=(file, limits, there), daemon=True)
    child.start()
    try:
        if not here.poll(120):
            raise RuntimeError("the server did not start")
        yield Served(f"http://127.0.0.1:{here.recv()}", psutil.Process(child.pid))
    finally:
        child.terminate()
        child.join(20)


def photographs(count: int = 16) -> list[bytes]:
    """JPEGs of 640 x 480 pixels, no two alike."""
    made = []
    for seed in range(count):
        coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC).save(file, "JPEG")
        made.append(file.getvalue())
    return made


@asynccontextmanager
async def connected(clients: int) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with a connection for each of `clients`."""
    limits = httpx2.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx2.AsyncClient(limits=limits, timeout=60, trust_env=False) as client:
        yield client


async def ask(client: httpx2.AsyncClient, address: str, photo: bytes, heard: Heard) -> int:
    """One picture; the answer's status."""
    started = time.perf_counter()
    answer = await client.post(f"{address}/predict", files={"files": ("a.jpg", photo)})
    heard.statuses[answer.status_code] += 1
    if answer.status_code == 200:
        heard.seconds.append(time.perf_counter() - started)
    elif "retry-after" not in answer.headers:
        heard.without_retry_after += 1
    return answer.status_code


async def ask_for(address: str, photos: Sequence[bytes], clients: int, seconds: float) -> Heard:
    """So many clients ask again and again for so long."""
    heard, end = Heard(), time.perf_counter() + seconds

    async def keep_asking(number: int) -> None:
        turn = number
        while time.perf_counter() < end:
            if await ask(client, address, photos[turn % len(photos)], heard) == 503:
                await asyncio.sleep(BACK_OFF_SECONDS)
            turn += 1

    async with connected(clients) as client:
        await asyncio.gather(*(keep_asking(number) for number in range(clients)))
    return heard


def percentile(values: Sequence[float], share: float) -> float:
    """The value that a share of the values does not exceed."""
    return float(np.quantile(values, share, method="higher"))


def batching(file: Path, flags: argparse.Namespace) -> list[dict[str, Any]]:
    """Pictures per second and waiting times, with and without dynamic batching."""
    photos = photographs()
    rounds: dict[str, list[Heard]] = {"together": [], "alone": []}
    with served(file, TOGETHER) as together, served(file, ALONE) as alone:
        both = {"together": together, "alone": alone}
        for one in both.values():
            asyncio.run(ask_for(one.address, photos, 4, 1.0))
        for number in range(flags.rounds):
            order = list(both) if number % 2 == 0 else list(both)[::-1]
            for way in order:
                heard = asyncio.run(
                    ask_for(both[way].address, photos, flags.clients, flags.seconds)
                )
                rounds[way].append(heard)
    return [
        {
            "way": way,
            "clients": flags.clients,
            "images_per_second": summary([len(one.seconds) / flags.seconds for one in heard]),
            "p50_seconds": statistics.median([s for one in heard for s in one.seconds]),
            "p99_seconds": percentile([s for one in heard for s in one.seconds], 0.99),
            "statuses": dict(sum((one.statuses for one in heard), Counter())),
        }
        for way, heard in rounds.items()
    ]


def overload(file: Path, flags: argparse.Namespace) -> dict[str, Any]:
    """What is heard at four times the capacity."""
    clients = OVERLOAD * TOGETHER.requests
    with served(file, TOGETHER) as one:
        heard = asyncio.run(ask_for(one.address, photographs(), clients, flags.seconds))
    return {
        "clients": clients,
        "capacity": TOGETHER.requests,
        "statuses": dict(heard.statuses),
        "refusals_without_retry_after": heard.without_retry_after,
        "images_per_second": len(heard.seconds) / flags.seconds,
        "p99_seconds": percentile(heard.seconds, 0.99),
    }


def memory(file: Path, flags: argparse.Namespace) -> dict[str, Any]:
    """The server's memory after each tenth of many requests; the first tenth warms it up."""
    photos, heard, sizes = photographs(), Heard(), []

    async def worker(client: httpx2.AsyncClient, address: str, turns: Iterator[int]) -> None:
        for turn in turns:
            await ask(client, address, photos[turn % len(photos)], heard)

    async def ask_all(one: Served) -> None:
        async with connected(flags.clients) as client:
            for _ in range(10):
                turns = iter(range(flags.requests // 10))
                workers = (worker(client, one.address, turns) for _ in range(flags.clients))
                await asyncio.gather(*workers)
                sizes.append(one.process.memory_info().rss)

    with served(file, TOGETHER) as one:
        asyncio.run(ask_all(one))
    return {
        "requests": flags.requests,
        "statuses": dict(heard.statuses),
        "rss_bytes": sizes,
        "growth_bytes": sizes[-1] - sizes[0],
        "growth_bytes_per_request": (sizes[-1] - sizes[0]) / (0.9 * flags.requests),
    }


def show(content: Mapping[str, Any]) -> None:
    """The figures on the screen."""
    rows = [
        (row["way"], row["images_per_second"]["median"], row["p50_seconds"], row["p99_seconds"])
        for row in content["batching"]
    ]
    print_table(("way", "images/s", "median wait", "p99 wait"), rows)
    overloaded, sizes = content["overload"], content["memory"]["rss_bytes"]
    print("at four times the capacity:", overloaded["statuses"])
    print("refused without Retry-After:", overloaded["refusals_without_retry_after"])
    print("MiB after each tenth of the requests:", [round(size / 2**20) for size in sizes])


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--model", default="resnet18")
    flags.add_argument("--image-size", type=int, default=128)
    flags.add_argument("--clients", type=int, default=16)
    flags.add_argument("--seconds", type=float, default=8.0)
    flags.add_argument("--rounds", type=int, default=3)
    flags.add_argument("--requests", type=int, default=10_000)
    given = flags.parse_args()
    if given.quick:
        given.model, given.image_size = "test_resnet", 64
        given.seconds, given.rounds, given.requests = 0.5, 1, 100
    facts = machine_facts()
    with tempfile.TemporaryDirectory() as place:
        network, small = Path(place) / "network.safetensors", Path(place) / "small.safetensors"
        save_network(network, given.model, given.image_size)
        # what may leak is the server's own, so the long phase has a network that costs little
        save_network(small, "test_resnet", 64)
        content = {
            "model": given.model,
            "image_size": given.image_size,
            "batching": batching(network, given),
            "overload": overload(network, given),
            "memory": memory(small, given),
        }
    show(content)
    print(f"written to {write_result('serve_load', facts, content, given.results)}")


if __name__ == "__main__":
    main()
