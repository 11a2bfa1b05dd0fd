"""Where the images that a list or a table names lie."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from lacewing.data.listing import Entry, find_images, is_system
from lacewing.data.member import stat_image
from lacewing.errors import DataError

PROBES = 16
"""Images of a list that are looked for, spread over it."""


def images_below(folder: Path) -> list[str]:
    """The images below a folder, but for those in folders that can't be read."""
    return find_images(folder, lenient=True).images


def files_near(folder: Path) -> list[str]:
    """What lies in a folder and in its folders, but no deeper: it may be one of everything."""
    near = [path.relative_to(folder) for path in (*folder.glob("*"), *folder.glob("*/*"))]
    return [path.as_posix() for path in near if not is_system(path.parts[0])]


def place_of(
    file: Path,
    images: Path | None,
    entries: list[Entry],
    look: Callable[[Path], list[str]] = images_below,
) -> Path | None:
    """The place that the paths in a list, or in one of several, count from.

    None where it names nothing that `look` finds below its folder, and where it says of each image
    what the folder says that it lies in. Raises DataError where the folders say something else:
    they are no classes.
    """
    folder = file.parent
    paths = [entry.path for entry in entries[:: max(1, len(entries) // PROBES)]]
    place = image_root(paths, image_places(folder, images))
    if place is not None or not entries:
        return place
    labels = labels_by_folder(look(folder), entries)
    if all(len(inside) == 1 for inside in labels.values()):
        return None
    holding = {place.split("/")[0] for place in labels}  # one image in another counts too
    root = image_root(paths, [folder / first for first in holding])
    if images is None and len(holding) == 1 and root is not None:
        return root
    raise DataError(_misplaced(file, images, paths[0], sorted(labels)))


def is_contradicted(found: list[str], entries: list[Entry]) -> bool:
    """Whether a folder of the images that were found holds several of the classes of a list."""
    return any(len(inside) > 1 for inside in labels_by_folder(found, entries).values())


def labels_by_folder(found: list[str], entries: list[Entry]) -> dict[str, set[str]]:
    """The classes that a list gives the images of each folder, by the names of those found.

    Of names that stand in the list with several classes nothing is known.
    """
    by_name: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        by_name[entry.path.rpartition("/")[2]].add(entry.key)
    labels: dict[str, set[str]] = defaultdict(set)
    for path in found:
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


def _misplaced(file: Path, images: Path | None, example: str, places: list[str]) -> str:
    where = ", ".join(str(file.parent / place) for place in places[:3])
    where += " ..." if len(places) > 3 else ""
    said, remedy = "not the way to them", "say with --images FOLDER where they begin"
    if images is not None:
        said, remedy = f"they are not in {images}", "name another folder with --images"
    return (
        f"{file} names images like {example!r}, but {said}: such lie in {where}. Correct its "
        f"paths, or {remedy}. If the folders are the classes, move {file.name} away."
    )
