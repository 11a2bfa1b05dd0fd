"""The pictures of a run's evidence folder, brought into the page itself."""

from base64 import b64encode
from typing import Any

from lacewing.results.pieces import Table
from lacewing.store.run import Run

NOTHING: Table = {"mistakes": [], "pairs": [], "suspects": [], "suspected": 0, "judged": 0,
                  "no_memory_for_heat": False}  # fmt: skip
PICTURES = ("picture", "heat", "beside")
"""Fields of an entry that name a file."""


def embedded(run: Run, evidence: Table) -> Table:
    """The evidence with each picture's file name replaced by a data address, or None."""
    filled = NOTHING | evidence
    return {
        name: _entries(run, value) if isinstance(value, list) else value
        for name, value in filled.items()
    }


def without_pictures(evidence: Table) -> int:
    """Entries whose image could not be read when the run was judged, or is gone from the folder."""
    lists = [value for value in evidence.values() if isinstance(value, list)]
    return sum(entry.get("picture") is None for entries in lists for entry in entries)


def _entries(run: Run, entries: list[Table]) -> list[Table]:
    return [
        {name: _address(run, value) if name in PICTURES else value for name, value in one.items()}
        for one in entries
    ]


def _address(run: Run, name: Any) -> str | None:
    file = run.evidence_folder / str(name)
    if name is None or not file.is_file():
        return None
    return "data:image/jpeg;base64," + b64encode(file.read_bytes()).decode("ascii")
