"""A call in a process of its own, made each time it is asked for.

What lacewing is compared with runs as its user would run it, under torch's own settings: an
OpenMP library reads them when it loads, so two of them need two processes.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

FOLDER = Path(__file__).resolve().parent
OURS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_")
"""Settings that lacewing makes."""


class Apart:
    """A benchmark's file run as a program that obeys; used in a `with`."""

    def __init__(
        self, file: str, words: Sequence[str], settings: Mapping[str, str] | None = None
    ) -> None:
        """settings: environment variables, in the place of those that lacewing sets."""
        inherited = {name: value for name, value in os.environ.items() if name not in OURS}
        self._process = subprocess.Popen(
            [sys.executable, str(FOLDER / file), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**inherited, **(settings or {})},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def call(self) -> str:
        """Make the call and wait for what it gives. Raises RuntimeError where the process ended."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._process.args!r} has ended")
        return answer.strip()

    def peak_bytes(self) -> int:
        """The most memory that the process has had, by Linux's count."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024


def obey(call: Callable[[], object]) -> None:
    """In the process: make the call for each line of the input, and answer with what it gives."""
    for _ in sys.stdin:
        print(call(), flush=True)
