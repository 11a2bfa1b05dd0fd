"""Where the images that a list or a table names lie."""

from collections import defaultdict
from pathlib import Path

from lacewing.data.listing import Entry, find_images
from lacewing.data.member import stat_image
from lacewing.errors import DataError

PROBES = 16
"""Images of a list that are looked for, spread over it."""


def place_of(file: Path, images: Path | None, entries: list[Entry]) -> Path | None:
    """The place that the paths in a list, or in one of several, count from.

    None where it names no image below its folder, and where it says of each what the folder says
    that it lies in. Raises DataError where the folders say something else: they are no classes.
    """
    folder = file.parent
    paths = [entry.path for entry in entries[:: max(1, len(entries) // PROBES)]]
    place = image_root(paths, image_places(folder, images))
    if place is not None or not entries:
        return place
    labels = labels_by_folder(folder, entries)
    if all(len(inside) == 1 for inside in labels.values()):
        return None
    holding = {place.split("/")[0] for place in labels}  # one image in another counts too
    root = image_root(paths, [folder / first for first in holding])
    if images is None and len(holding) == 1 and root is not None:
        return root
    where = ", ".join(str(folder / place) for place in sorted(labels)[:3])
    raise DataError(
        f"{file} names images like {paths[0]!r}, but not the way to them: such lie in {where}"
        f"{' ...' if len(labels) > 3 else ''}. Correct its paths, or say with --images FOLDER "
        "where they begin."
    )


def is_contradicted(folder: Path, entries: list[Entry]) -> bool:
    """Whether a folder with images below `folder` holds several of the classes of a list."""
    return any(len(inside) > 1 for inside in labels_by_folder(folder, entries).values())


def labels_by_folder(folder: Path, entries: list[Entry]) -> dict[str, set[str]]:
    """The classes that a list gives the images of each folder below `folder`, by their names.

    Of names that stand in the list with several classes nothing is known.
    """
    by_name: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        by_name[entry.path.rpartition("/")[2]].add(entry.key)
    labels: dict[str, set[str]] = defaultdict(set)
    for path in find_images(folder).images:
        place, _, name = path.rpartition("/")
        if len(by_name.get(name, ())) == 1:
            labels[place] |= by_name[name]
    return labels


def image_root(paths: list[str], places: list[Path]) -> Path | None:
    """The place below which most of the paths exist; None if it is none."""
    places = [place for place in places if place.is_dir()]  # below any, absolute paths exist
    hits = [sum(exists(place / path) for path in paths) for place in places]
    best = max(range(len(places)), key=lambda position: hits[position], default=0)
    return places[best] if places and hits[best] else None


def image_places(folder: Path, images: Path | None) -> list[Path]:
    """Where the images of a list in `folder` may lie; only where the user says, if they do."""
    if images is not None:
        return [images, images / "images"]
    return [folder / "images", folder, folder.parent / "images", folder.parent]


def exists(path: Path) -> bool:
    """Whether there is a file, or a tar file for a member of it; False for what can be no path."""
    try:
        stat_image(path)
    except (OSError, ValueError):  # too long, or with characters that no path can have
        return False
    return True
