"""Fewer cores or less memory than the machine has: what is said, and what a run uses."""

import json
import os
import subprocess
import sys

import pytest

from lacewing.hardware.machine import Limit
from lacewing.values import MIB

FIRST_CORE = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
needs_affinity = pytest.mark.skipif(
    FIRST_CORE is None or len(os.sched_getaffinity(0)) < 2,
    reason="needs two cores, and an affinity mask that can be set",
)


def on_one_core(*words, folder):
    """`taskset -c 0 lacewing ...`."""
    return subprocess.run(
        [sys.executable, "-m", "lacewing", *words],
        cwd=folder,
        env={**os.environ, "LACEWING_CACHE": str(folder / "cache"), "COLUMNS": "160"},
        preexec_fn=lambda: os.sched_setaffinity(0, {FIRST_CORE}),
        capture_output=True,
        text=True,
        timeout=600,
    )


@needs_affinity
def test_doctor_says_one_core(tmp_path):
    done = on_one_core("doctor", "--json", folder=tmp_path)
    machine = json.loads(done.stdout)
    assert machine["cores"] == {"value": 1, "source": "CPU affinity"}
    assert "1 of" in on_one_core("doctor", folder=tmp_path).stdout


@needs_affinity
@pytest.mark.slow
def test_a_run_there_uses_one(tmp_path, photos):
    done = on_one_core(
        "train", "-data", str(photos), "-mn", "test_resnet", "-predt", "False",
        "-ep", "1", "--image-size", "32", "--tensorboard", "False", "--name", "run",
        folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    plan = (tmp_path / "runs" / "run" / "plan.yaml").read_text()
    threads = plan[plan.index("threads:") :]
    assert "value: 1" in threads[: threads.index("reason:")]


@pytest.mark.skipif(sys.platform != "linux", reason="only there are addresses limited so")
@pytest.mark.parametrize("command", [("doctor",), ("train", "-data", "sample")])
def test_a_limit_that_does_not_hold_pytorch_is_named(tmp_path, command):
    import resource  # not there on Windows

    size = 300 * MIB
    done = subprocess.run(
        [sys.executable, "-m", "lacewing", *command],
        cwd=tmp_path,
        env={**os.environ, "LACEWING_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: This process may take 300.0 MiB of memory (RLIMIT_AS), which does not hold "
        "PyTorch: its libraries need about 1 GiB, and 4 GiB where they are for CUDA. Allow it "
        "more, as by `ulimit -v unlimited` or, of a container, `docker run -m 4g`."
    ]


def test_a_container_that_does_not_hold_pytorch_is_named_before_it_is_loaded(run, monkeypatch):
    container = Limit(value=300 * MIB, source="cgroup memory limit")
    monkeypatch.setattr("lacewing.hardware.limits.usable_memory", lambda rlimits: container)
    ended = run("doctor")
    assert ended.code == 2
    assert ended.error.startswith("This process may take 300.0 MiB of memory (cgroup memory limit)")
    assert run("cache", "info").code == 0, "which does without PyTorch"


def test_what_does_without_pytorch_does_not_load_it(tmp_path):
    lines = ("sample s --images-per-class 3", "data check s", "cache info", "watch s --once")
    program = (
        "import sys; sys.modules['torch'] = None\n"  # an import of it would raise
        "from lacewing.cli import main\n"
        "print([main(line.split()) for line in sys.argv[1:]], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *lines], cwd=tmp_path, capture_output=True, text=True,
        check=False, env={**os.environ, "LACEWING_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.stderr.splitlines()[-1].startswith("["), done.stderr
    assert "fault" not in done.stderr
