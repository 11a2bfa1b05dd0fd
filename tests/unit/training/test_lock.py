"""One process per run folder."""

import subprocess
import sys

import pytest

from lacewing.errors import RunError
from lacewing.store.run import Run
from lacewing.training.lock import locked

HOLD = """
import sys, time
from pathlib import Path
from lacewing.store.run import Run
from lacewing.training.lock import locked
with locked(Run(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_one_is_refused_until_the_first_is_done(tmp_path):
    with locked(Run(tmp_path)), pytest.raises(RunError, match="in use by process"):
        locked(Run(tmp_path)).__enter__()
    with locked(Run(tmp_path)):
        pass


def test_another_process_is_named_and_a_killed_one_holds_nothing(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=f"in use by process {other.pid} on "):
            locked(Run(tmp_path)).__enter__()
        other.kill()
    with locked(Run(tmp_path)):
        pass


def test_a_folder_that_refuses_says_so(tmp_path):
    with pytest.raises(RunError, match="Nothing can be written into the run folder"):
        locked(Run(tmp_path / "gone")).__enter__()
