"""Run a piece of code in a process of its own, which a bad driver may take down."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

SOURCE = str(Path(__file__).resolve().parents[2])
"""The folder that holds the package: it may be on no path that a child inherits."""
MARK = "lacewing-report:"
"""Drivers write to the standard output too: our line is the one that starts so."""
PRELUDE = f"""
import json, sys
def report(value):
    sys.stdout.write({MARK!r} + json.dumps(value) + "\\n")
    sys.stdout.flush()
"""


class ChildError(Exception):
    """The child process ended badly, or without a report; the text is the reason, a clause."""

    def __init__(self, reason: str, reported: Any = None) -> None:
        super().__init__(reason)
        self.reported = reported
        """What it gave to `report` before; None if nothing."""


def run_child(code: str, timeout_seconds: float) -> Any:
    """What the code last gave to `report(value)`, plain data. Raises ChildError.

    The child is a fresh interpreter, not a fork: it inherits no driver's state.
    """
    inherited = os.environ.get("PYTHONPATH")
    path = SOURCE if not inherited else os.pathsep.join((SOURCE, inherited))
    try:
        done = subprocess.run(
            # -P: a json.py in the working directory is not ours to import
            [sys.executable, "-P", "-c", PRELUDE + code],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired as expired:
        reason = f"no answer within {timeout_seconds:g} s"
        raise ChildError(reason, _reported(expired.stdout)) from None
    except OSError as error:
        raise ChildError(f"no process could be started: {error}") from error
    reported = _reported(done.stdout)
    if done.returncode != 0 or reported is None:
        raise ChildError(_why(done.returncode, done.stderr), reported)
    return reported


def be_ended_first(root: Path = Path("/")) -> None:
    """Where the memory runs out, have Linux end this process before any other (proc(5))."""
    with suppress(OSError):  # there is no such file elsewhere
        (root / "proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _reported(output: str | bytes | None) -> Any:
    """The last report in what a child wrote, which is bytes after a time-out; None without any."""
    text = output.decode(errors="replace") if isinstance(output, bytes) else output or ""
    reports = [line for line in text.splitlines() if line.startswith(MARK)]
    return json.loads(reports[-1].removeprefix(MARK)) if reports else None


def _why(status: int, errors: str) -> str:
    """The signal's name, or the last line of the traceback."""
    if status < 0:
        try:
            return f"its process was ended by {signal.Signals(-status).name}"
        except ValueError:
            return f"its process was ended by signal {-status}"
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return lines[-1] if lines else f"its process ended with status {status}"
