"""kill -9 at random instants: a shorter form of benchmarks/torture.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TORTURE = Path(__file__).parents[2] / "benchmarks" / "torture.py"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_killed_runs_end_like_the_undisturbed_one(tmp_path):
    command = [sys.executable, str(TORTURE), "--quick", "--folder", str(tmp_path / "torture")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "6 kills" in done.stdout
