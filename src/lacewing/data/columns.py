"""Which columns of a table hold images and their labels, as Hugging Face's data sets have them."""

from collections.abc import Callable, Collection
from typing import Any

from lacewing.errors import DataError

IMAGE_COLUMNS = ("image", "img", "picture", "photo", "jpg", "png")
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "cls", "target", "category")


def column_of(wanted: tuple[str, ...], there: Collection[str]) -> str | None:
    """The first of the wanted columns that is there."""
    return next((name for name in wanted if name in there), None)


def no_column(wanted: tuple[str, ...], there: Collection[str], where: str) -> DataError:
    """That there is none of the wanted columns."""
    return DataError(
        f"{where} has the columns {', '.join(there)}, but none called {' or '.join(wanted[:3])}: "
        "rename the column."
    )


def image_bytes(image: Any, where: str, read: Callable[[str], bytes]) -> bytes:
    """The bytes of an image's file, which stand in the cell, or where it says, then by `read`.

    Raises DataError, and what `read` raises.
    """
    content = image.get("bytes") if isinstance(image, dict) else image
    if content is None and isinstance(image, dict) and image.get("path"):
        content = read(image["path"])
    if not isinstance(content, bytes):
        raise DataError(f"{where} holds an image that is not a file's bytes: it can't be used.")
    return content


def label_text(label: Any, names: tuple[str, ...]) -> str | None:
    """A class, a number or a name; None for null, and for the hub's -1 where classes have names."""
    is_hidden = bool(names) and isinstance(label, int) and label < 0
    return None if label is None or is_hidden else str(label)
