"""Whether a resumed run still finds the images that it began with."""

from collections.abc import Iterable

from lacewing.data.index import ImageIndex
from lacewing.errors import RunError
from lacewing.training.events import EventLog

EXAMPLES = 3


def check_same_images(
    before: ImageIndex, now: ImageIndex, events: EventLog, accept_changed: bool
) -> bool:
    """Whether they are the same. Raises RunError saying what changed; accepted, it is a warning.

    What is accepted is not taken over: the run goes on with its own list, and images that are
    gone are replaced by others of their class.
    """
    if before.fingerprint() == now.fingerprint():
        return True
    what = f"The images in {before.root} are not those that the run began with: "
    what += changes(before, now)
    if not accept_changed:
        raise RunError(
            f"{what}. Restore them, start the run anew, or go on with what is left of the run's "
            "own list by --accept-changed-data."
        )
    events.warn("data", f"{what}. The run goes on with its own list.")
    return False


def changes(before: ImageIndex, now: ImageIndex) -> str:
    """What is missing, new and changed, in words."""
    old, new = contents(before), contents(now)
    both = old.keys() & new.keys()
    content = [path for path in both if old[path][0] != new[path][0]]
    place = [path for path in both if old[path][1:] != new[path][1:]]
    parts = [
        named(old.keys() - new.keys(), "missing"),
        named(new.keys() - old.keys(), "new"),
        named(content, "with another content"),
        named(place, "in another class or split"),
    ]
    return "; ".join(part for part in parts if part) or "their order is another"


def contents(index: ImageIndex) -> dict[str, tuple[str, str, str]]:
    """Of each path its content hash, its class and its split."""
    columns = [index.table.column(name).to_pylist() for name in ("path", "hash", "label", "split")]
    rows = zip(*columns, strict=True)
    return {path: (content, index.classes[label], split) for path, content, label, split in rows}


def named(paths: Iterable[str], what: str) -> str:
    """`2 missing (a.jpg, b.jpg)`, or nothing for none."""
    found = sorted(paths)
    if not found:
        return ""
    more = ", ..." if len(found) > EXAMPLES else ""
    return f"{len(found)} {what} ({', '.join(found[:EXAMPLES])}{more})"
