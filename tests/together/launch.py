"""Runs `lacewing` as several processes, one case after another: `launch.py CASES.json`.

torch is imported once and then forked, which a launcher of its own would do for each process.
A case is {"processes", "words", "log"} and what is to happen to one of its processes:
"out_of_memory" or "signal" with {"rank", "calls"}, the calls of the loss at which it happens, or
"update", "sum" or "squares", those of the optimiser, of the gradients' sum, or of the loading of
validation images, at which the memory runs out.
With "cut", all get SIGTERM while the first is in the feature pass and the others wait for it.
With "ray", settings for the function of examples/ray_train.py, it is called instead, in a process
group that is there already and outside the main thread, as Ray Train's workers call it.
Each process writes the images of its steps into <log>.<rank>.rows. Prints each case's exit codes
by rank, as JSON.
"""

import gc
import json
import os
import runpy
import signal
import socket
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from lacewing import api  # noqa: F401 (before the processes part)
from lacewing.cli import main
from lacewing.data.eval_loader import EvalLoader
from lacewing.models.catalog import find_model
from lacewing.results import figures  # noqa: F401 (matplotlib too)
from lacewing.training import loop, session
from lacewing.training.distributed import Team
from lacewing.training.recipe import linear

EXAMPLE = Path(__file__).parents[2] / "examples" / "ray_train.py"


def hurt(case: dict[str, Any], rank: int) -> None:
    """Make the case's misfortune happen in this process."""
    loss_of, calls = session.loss_of, [0]

    def watched(*about: Any) -> Any:
        loss = loss_of(*about)

        def counted(*arguments: Any) -> Any:
            calls[0] += 1
            for what, happens in (("out_of_memory", exhausted), ("signal", signalled)):
                script = case.get(what)
                if script and script["rank"] == rank and calls[0] in script["calls"]:
                    happens()
            return loss(*arguments)

        return counted

    session.loss_of = watched


def break_update(case: dict[str, Any], rank: int) -> None:
    """Let the memory run out in the case's updates of this process."""
    make, calls, script = session.optimizer_of, [0], case.get("update")
    if not script or script["rank"] != rank:
        return

    def made(*about: Any, **words: Any) -> Any:
        optimizer = make(*about, **words)
        step = optimizer.step

        def counted() -> None:
            calls[0] += 1
            if calls[0] in script["calls"]:
                exhausted()
            step()

        optimizer.step = counted
        return optimizer

    session.optimizer_of = made


def break_method(owner: type, name: str, script: dict[str, Any] | None, rank: int) -> None:
    """Let the memory run out in the script's calls of a method, in this process."""
    method, calls = getattr(owner, name), [0]

    def counted(*arguments: Any) -> Any:
        calls[0] += 1
        if script and script["rank"] == rank and calls[0] in script["calls"]:
            exhausted()
        return method(*arguments)

    setattr(owner, name, counted)


def watch_rows(file: Path) -> None:
    """Write down which images each step of this process takes: step and rows, a line per step."""
    train_batch = loop.train_batch

    def watched(session: Any, batch: Any, stop: Any) -> Any:
        result = train_batch(session, batch, stop)
        with file.open("a", encoding="utf-8") as lines:
            taken = {"step": session.progress.step, "rows": batch.rows.tolist()}
            lines.write(json.dumps(taken) + "\n")
        return result

    loop.train_batch = watched


def linger(there: Path) -> None:
    """Make a feature pass that does not end, and say when it has begun."""

    def waiting(*_: Any) -> None:
        there.touch()
        time.sleep(600)

    linear.feature_pass = waiting


def exhausted() -> None:
    raise MemoryError("scripted")


def signalled() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def child(case: dict[str, Any], rank: int, port: int) -> int:
    world = case["processes"]
    if world > 1:
        os.environ |= {
            "RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank),
            "LOCAL_WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        }  # fmt: skip
    log = os.open(f"{case['log']}.{rank}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    hurt(case, rank)
    break_update(case, rank)
    break_method(Team, "add_up", case.get("sum"), rank)
    break_method(EvalLoader, "_squares", case.get("squares"), rank)
    watch_rows(Path(f"{case['log']}.{rank}.rows"))
    if "cut" in case:
        linger(Path(f"{case['log']}.begun"))
    return as_ray(case["ray"]) if "ray" in case else main(case["words"])


def as_ray(settings: dict[str, Any]) -> int:
    torch.distributed.init_process_group("gloo")
    function = runpy.run_path(str(EXAMPLE))["train_one_worker"]
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(function, settings).result()
    return 0 if told["finished"] and torch.distributed.is_initialized() else 1


def run(case: dict[str, Any]) -> list[int]:
    port = free_port()
    pids = []
    for rank in range(case["processes"]):
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                code = child(case, rank, port)
            except BaseException:  # `_exit` would swallow what went wrong
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        pids.append(pid)
    if "cut" in case:
        terminate(pids, Path(f"{case['log']}.begun"))
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def terminate(pids: list[int], begun: Path) -> None:
    """SIGTERM to all once the file is there."""
    while not begun.exists():
        time.sleep(0.02)
    for pid in pids:
        os.kill(pid, signal.SIGTERM)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123
        cases = json.load(file)
    for name in ("test_resnet", "test_convnext"):
        find_model(name)
    gc.freeze()  # each process would go through all that torch has made, and so copy it
    print(json.dumps([run(case) for case in cases]))  # noqa: T201
