"""Fewer cores than the machine has: what doctor says and what a run uses."""

import json
import os
import subprocess
import sys

import pytest

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
