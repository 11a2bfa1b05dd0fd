"""The only place that prints: tables, progress, warnings.

In a terminal, progress is one live line; elsewhere (a log file, a pipe) it is plain lines.
Results go to stdout, everything else to stderr when stdout is asked for as JSON.
"""

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 140
"""Columns where the output is no terminal and $COLUMNS is not set."""


def _console(stderr: bool = False) -> Console:
    """A console of the stream as it is now, so that a redirected stream is honoured."""
    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in console._environ:
        return Console(stderr=stderr, highlight=False, width=PLAIN_WIDTH)
    return console


def width() -> int:
    """Columns of what is printed."""
    return _console().width


def say(text: str = "", *, style: str | None = None) -> None:
    """One line of plain text."""
    _line(_console(), escape(text), style)


def heading(text: str) -> None:
    """The title of what follows."""
    _console().print(f"\n[bold green]{escape(text)}[/]")


def note(text: str) -> None:
    """Something the user should know and need not act on."""
    _line(_console(), f"[cyan]note:[/] {escape(text)}")


def warn(text: str) -> None:
    """Something that may need action; goes to stderr."""
    _line(_console(stderr=True), f"[yellow]warning:[/] {escape(text)}")


def _line(console: Console, markup: str, style: str | None = None) -> None:
    """Wrapped in a terminal; elsewhere one line, so that it can be searched for."""
    console.print(markup, style=style, soft_wrap=not console.is_terminal)


def say_anything() -> None:
    """Let the terminal show what its encoding lacks, and names that are no text, as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def error(text: str) -> None:
    """Why the command ended; goes to stderr, unwrapped so that it can be searched for."""
    _console(stderr=True).print(f"[bold red]error:[/] {escape(text)}", soft_wrap=True)


def table(columns: Iterable[str], rows: Iterable[Iterable[object]], title: str = "") -> None:
    """A table; numbers stand at the right of their column."""
    texts = [[str(cell) for cell in row] for row in rows]
    drawn = Table(
        title=escape(title) or None, title_justify="left", header_style="bold", box=None,
        padding=(0, 2, 0, 0), show_header=any(columns := list(columns)),
    )  # fmt: skip
    for position, name in enumerate(columns):
        numeric = bool(texts) and all(
            row[position][:1].isdigit() or row[position] in ("", "-") for row in texts
        )
        drawn.add_column(escape(name), justify="right" if numeric and position else "left",
                         overflow="fold")  # fmt: skip
    for row in texts:
        drawn.add_row(*(escape(cell) for cell in row))
    _console().print(drawn)


def pairs(rows: Iterable[tuple[str, str]]) -> None:
    """What and value, one pair a line, both from the left."""
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(style="bold")
    drawn.add_column(overflow="fold")
    for what, value in rows:
        drawn.add_row(escape(what), escape(value))
    _console().print(drawn)


def as_json(value: Any) -> None:
    """JSON on stdout, for machines."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def progress(description: str) -> Iterator[Callable[[int, int], None]]:
    """A progress display; the block gets `update(done, total)`.

    Without a terminal it says one line when the work ends, and only if there was any.
    """
    console = _console(stderr=True)
    if not console.is_terminal:
        seen = [0, 0]

        def remember(done: int, total: int) -> None:
            seen[:] = done, total

        yield remember
        if seen[1]:
            console.print(f"{escape(description)}: {seen[0]}/{seen[1]}")
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
        console=console,
        transient=True,
    ) as display:
        task = display.add_task(escape(description), total=None, detail="")
        yield lambda done, total: display.update(task, completed=done, total=total)


@contextmanager
def live() -> Iterator[Callable[[list[str], list[str]], None]]:
    """A view that is drawn anew; the block gets `show(head, log)`, both lines of text.

    In a terminal the head stands below the end of the log. Elsewhere each line of the log is
    said once, as it comes, and the last head at the end.
    """
    console = _console()
    if not console.is_terminal:
        said: set[str] = set()
        last: list[str] = []

        def follow(head: list[str], log: list[str]) -> None:
            for line in log:
                if line not in said:
                    say(line)
                    said.add(line)
            last[:] = head

        yield follow
        for line in last:
            say(line)
        return
    with Live(console=console, auto_refresh=False) as display:

        def draw(head: list[str], log: list[str]) -> None:
            room = max(3, console.height - len(head) - 3)
            text = Text("\n".join([*log[-room:], "", *head]), no_wrap=True, overflow="ellipsis")
            display.update(text, refresh=True)

        yield draw


@contextmanager
def epoch_progress(description: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A live line for one epoch; the block gets `update(step, detail)`. Silent off a terminal."""
    console = _console(stderr=True)
    if not console.is_terminal:
        yield lambda *_: None
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
        console=console,
        transient=True,
    ) as display:
        task = display.add_task(escape(description), total=total, detail="")
        yield lambda step, detail: display.update(task, completed=step, detail=escape(detail))
