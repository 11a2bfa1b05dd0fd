"""Two network namespaces as two hosts: one is cut off, and comes back."""

import os
import shutil
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from lacewing.store.run import Run, read_lines

HOSTS = tuple(f"lacewing-{os.getpid()}-{name}" for name in "ab")
WIRES = ("lwa", "lwb")
WAIT_SECONDS = 300
EPOCHS = 8


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)


pytestmark = pytest.mark.slow


@pytest.fixture
def hosts():
    """Two hosts, 10.199.0.1 and 10.199.0.2, with one wire between them."""
    if shutil.which("ip") is None or any(ip("netns", "add", host).returncode for host in HOSTS):
        pytest.skip("network namespaces need root and iproute2")
    ip("link", "add", WIRES[0], "netns", HOSTS[0], "type", "veth",
       "peer", "name", WIRES[1], "netns", HOSTS[1])  # fmt: skip
    for number, (host, wire) in enumerate(zip(HOSTS, WIRES, strict=True), start=1):
        ip("-n", host, "address", "add", f"10.199.0.{number}/24", "dev", wire)
        for link in ("lo", wire):
            ip("-n", host, "link", "set", link, "up")
    yield HOSTS
    for host in HOSTS:
        ip("netns", "del", host)


def begin(tmp_path, tint_index, epochs, attempt):
    """The same command on both hosts; `attempt` names the logs."""
    words = [
        "train", "--data", str(tint_index.root), "--model", "test_resnet", "--pretrained", "False",
        "--batch-size", "8", "--epochs", str(epochs), "--image-size", "32", "--device", "cpu",
        "--tensorboard", "False", "--threads", "1", "--trial", "False", "--patience", "0",
        "--checkpoint-seconds", "0", "--optimizer", "sgd", "--learning-rate", "0.01",
        "--name", "run", "--output", str(tmp_path), "--resume", "auto",
    ]  # fmt: skip
    processes = []
    for rank, (host, wire) in enumerate(zip(HOSTS, WIRES, strict=True)):
        environment = os.environ | {
            "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "10.199.0.1",
            "MASTER_PORT": "29533", "GLOO_SOCKET_IFNAME": wire, "LACEWING_GROUP_TIMEOUT": "10",
            "LACEWING_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        with (tmp_path / f"{attempt}-{rank}").open("wb") as log:
            processes.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", host, sys.executable, "-m", "lacewing", *words],
                    stdout=log, stderr=log, env=environment,
                )
            )  # fmt: skip
    return processes


def test_both_end_with_a_sentence_and_go_on_once_the_wire_is_back(hosts, tmp_path, tint_index):
    run = Run(tmp_path / "run")
    processes = begin(tmp_path, tint_index, EPOCHS, "cut")
    end = time.monotonic() + WAIT_SECONDS
    while len(list(read_lines(run.metrics))) < 2 and time.monotonic() < end:
        assert all(process.poll() is None for process in processes)
        time.sleep(0.05)
    ip("-n", hosts[1], "link", "set", WIRES[1], "down")
    assert [process.wait(WAIT_SECONDS) for process in processes] == [1, 1]
    for rank in (0, 1):
        said = (tmp_path / f"cut-{rank}").read_text()
        assert f"Process {rank} of 2 lost the others" in said
    done = len(list(read_lines(run.metrics)))
    assert 2 <= done < EPOCHS
    ip("-n", hosts[1], "link", "set", WIRES[1], "up")
    again = begin(tmp_path, tint_index, EPOCHS, "again")
    assert [process.wait(WAIT_SECONDS) for process in again] == [0, 0], (
        tmp_path / "again-0"
    ).read_text()
    assert "Going on with" in (tmp_path / "again-0").read_text()
    rows = [row["epoch"] for row in read_lines(run.metrics)]
    assert rows == list(range(1, EPOCHS + 1))
    assert all(weight.isfinite().all() for weight in load_file(run.model).values() if
               weight.dtype == torch.float32)  # fmt: skip
