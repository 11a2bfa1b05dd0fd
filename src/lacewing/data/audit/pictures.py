"""Which files show the same picture: candidates by perceptual hash, then a look at each.

The difference hash finds candidates quickly but knows 64 bits of a picture, and among tens of
thousands some differ in three bits by chance. So candidates are opened and compared as small
grey pictures.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from lacewing.data.audit.same import rows_of
from lacewing.data.dhash import equal_groups, near_identical_groups
from lacewing.data.index import ImageIndex
from lacewing.data.rgb import open_rgb
from lacewing.data.scan import Progress

SIDE = 32
"""Of the small grey pictures, in pixels."""
MIN_CORRELATION = 0.9
"""Of two small pictures that show the same. Of 1.6 million pairs of different field photos
none reached 0.89; copies saved at quality 30 or scaled by 0.6 stayed above 0.98."""
LARGEST = 2000
"""More candidates than this are not compared: each would be with each."""


def same_pictures(
    index: ImageIndex, *, threads: int = 2, progress: Progress | None = None
) -> tuple[np.ndarray, list[np.ndarray]]:
    """A group number for each row, int64 [rows], shared by rows that show the same picture.

    The number is the smallest row of the group. Equal files are always together. Beside it, the
    rows of each cluster that was too large to be compared.
    """
    contents = index.table.column("hash").to_pylist()
    dhash, width, height = (index.column(name) for name in ("dhash", "width", "height"))
    candidates = near_identical_groups(contents, dhash, width, height)
    equal = equal_groups(contents)
    clusters = list(_clusters(candidates, equal))
    looked_at = [cluster for cluster in clusters if len(cluster) <= LARGEST]
    smallest = np.arange(len(index))
    found = _look_at_all(index, looked_at, threads, progress)
    for cluster, groups in zip(looked_at, found, strict=True):
        for group in groups:
            smallest[cluster[group]] = cluster[group].min()
    large = [cluster for cluster in clusters if len(cluster) > LARGEST]
    passed = [np.flatnonzero(candidates == candidates[cluster[0]]) for cluster in large]
    return smallest[equal], passed


def _clusters(candidates: np.ndarray, equal: np.ndarray) -> Iterator[np.ndarray]:
    """Rows, one for each content, of every group of candidates with two contents or more."""
    firsts = np.flatnonzero(equal == np.arange(len(equal)))
    return (firsts[rows] for rows in rows_of(candidates[firsts]))


def _look_at_all(
    index: ImageIndex, clusters: list[np.ndarray], threads: int, progress: Progress | None
) -> Iterator[list[list[int]]]:
    paths = index.paths()
    total, done = sum(map(len, clusters)), 0
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="compare") as pool:
        for cluster in clusters:
            yield alike(list(pool.map(small_grey, [paths[row] for row in cluster])))
            done += len(cluster)
            if progress is not None:
                progress(done, total)


def small_grey(path: str | Path) -> np.ndarray | None:
    """A picture as a unit vector around its mean, float32 [SIDE * SIDE]; None if it is gone."""
    try:
        image = open_rgb(path, at_least=2 * SIDE)
    except (OSError, ValueError):  # it was readable when it was scanned: nothing to compare
        return None
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(grey, np.float32).ravel()
    values = values - values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)


def alike(pictures: list[np.ndarray | None]) -> list[list[int]]:
    """Positions of pictures that are correlated, directly or through others; two or more each."""
    known = [(position, vector) for position, vector in enumerate(pictures) if vector is not None]
    if not known:
        return []
    there, vectors = [position for position, _ in known], np.stack([vector for _, vector in known])
    close = vectors @ vectors.T >= MIN_CORRELATION
    left, groups = set(range(len(there))), []
    while left:
        group, new = set[int](), {min(left)}
        while new:
            group |= new
            new = set(np.flatnonzero(close[list(new)].any(0)).tolist()) - group
        left -= group
        groups.append(sorted(there[position] for position in group))
    return [group for group in groups if len(group) > 1]
