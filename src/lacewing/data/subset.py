"""A part of a data set for a quick look: stratified by class, seeded, and nested."""

from dataclasses import replace
from hashlib import blake2b

import numpy as np

from lacewing.data.index import ImageIndex

SAMPLED = ("train", "val")
"""Splits that are sampled. The test split stays whole, so that figures can be compared."""
WHOLE = "whole"
"""Key of `ImageIndex.details`: images of each sampled split before the sample was drawn."""
MIN_PER_CLASS = 10


def draw_subset(index: ImageIndex, share: float, min_per_class: int, seed: int) -> ImageIndex:
    """The index with a share of each class's training and validation images; test stays whole.

    Of a class with n images in a split, max(share x n, min_per_class) are kept, or all of them.
    Which ones depends on the seed and on their contents, not on their order or names, and a
    larger share contains the smaller one of the same seed.
    """
    kept = np.ones(len(index), bool)
    labels, splits = index.column("label"), index.column("split")
    contents = index.table.column("hash").to_pylist()
    for split in SAMPLED:
        rows = np.flatnonzero(splits == split)
        rows = rows[np.argsort(labels[rows], kind="stable")]
        for of_class in np.split(rows, np.flatnonzero(np.diff(labels[rows])) + 1):
            wanted = max(round(share * len(of_class)), min_per_class)
            ordered = sorted(of_class.tolist(), key=lambda row: _place(contents[row], row, seed))
            kept[ordered[wanted:]] = False
    whole = {split: int((splits == split).sum()) for split in SAMPLED}
    drawn = index.take(np.flatnonzero(kept))
    note = _what_was_drawn(drawn, whole, share, min_per_class, seed)
    return replace(drawn, details={**index.details, WHOLE: whole}, notes=(*index.notes, note))


def times_larger(index: ImageIndex) -> dict[str, float] | None:
    """How many times as many images each sampled split had; None where none was drawn."""
    whole = index.details.get(WHOLE)
    if whole is None:
        return None
    return {split: count / max(1, len(index.split(split))) for split, count in whole.items()}


def _place(content: str, row: int, seed: int) -> tuple[bytes, int]:
    """An image's place in the draw; equal files stand beside each other in their order."""
    return blake2b(f"sample:{seed}:{content}".encode(), digest_size=16).digest(), row


def _what_was_drawn(
    drawn: ImageIndex, whole: dict[str, int], share: float, least: int, seed: int
) -> str:
    counts = {split: len(drawn.split(split)) for split in SAMPLED}
    return (
        f"A sample of {share:.3g} of each class, at least {least} images, drawn with seed {seed}: "
        f"{counts['train']:,} of {whole['train']:,} training and {counts['val']:,} of "
        f"{whole['val']:,} validation images. The test split is whole."
    )
