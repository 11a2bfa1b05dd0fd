"""The event log: what happened beside the plan, each with its time and its sentence."""

import os
import shlex
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lacewing import console
from lacewing.store.run import Run, append_line

PROGRAMS = ("lacewing", "lacewing.exe", "Trainmain.py")
"""How the command is started, but for `python -m lacewing`."""
OF_ONE_PROCESS = ("image", "pixels")
"""Kinds of events that the other processes of a training don't see for themselves."""


def this_process() -> dict[str, int | str]:
    """Fields that tell whoever watches the run which process carries it out."""
    return {"process": os.getpid(), "host": socket.gethostname()}


def typed_command() -> dict[str, str]:
    """The command line that this process carries out, as a field; none from Python."""
    program = Path(sys.argv[0])
    is_ours = program.name in PROGRAMS or program.parts[-2:] == ("lacewing", "__main__.py")
    if not is_ours or sys.argv[1:2] == ["resume"]:  # a run that is begun anew was asked otherwise
        return {}
    words = ["python", sys.argv[0]] if program.name == "Trainmain.py" else ["lacewing"]
    return {"command": shlex.join([*words, *sys.argv[1:]])}


@dataclass(frozen=True)
class EventLog:
    """Appends to events.jsonl and shows the sentence; a disk that refuses costs the line only."""

    run: Run
    show: Callable[[str], None]
    held: list[tuple[str, str]] | None = None
    """In a process that does not write: what is to be told to the one that does."""

    def add(self, kind: str, message: str, **fields: Any) -> None:
        """Record something worth knowing and say it."""
        self.record(kind, message, **fields)
        self.show(message)

    def warn(self, kind: str, message: str, **fields: Any) -> None:
        """Record something that may need action and say it on stderr."""
        self.record(kind, message, **fields)
        console.warn(message)

    def record(self, kind: str, message: str, **fields: Any) -> None:
        """Record without saying: milestones that the screen shows anyway."""
        if self.held is not None:
            if kind in OF_ONE_PROCESS:
                self.held.append((kind, message))
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            append_line(self.run.events, {"time": now, "kind": kind, "message": message, **fields})
        except OSError as error:
            console.warn(f"{self.run.events} can't be written ({error.strerror}): {message}")
