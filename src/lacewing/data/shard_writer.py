"""Writes images and labels into tar shards, as shards.py reads them."""

import io
import tarfile
from collections import defaultdict
from pathlib import Path
from types import TracebackType

from lacewing.data.formats import HEAD, SUFFIXES, format_of

SHARD_BYTES = 2**30
"""A new shard is begun beyond this."""


class ShardWriter:
    """One open shard per split: `train-00000.tar`, `train-00001.tar` ..., to be used in `with`."""

    def __init__(self, folder: Path, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder = folder
        self._shard_bytes = shard_bytes
        self._open: dict[str, tarfile.TarFile] = {}
        self._shards: dict[str, int] = defaultdict(int)
        self._samples = 0

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for tar in self._open.values():
            tar.close()

    def add(self, split: str | None, image: bytes, label: str) -> None:
        """Append an image, a file's bytes, with its class."""
        tar = self._tar(split or "images")
        key = f"{self._samples:08}"
        self._samples += 1
        kind = format_of(image[:HEAD]) or "JPEG"
        _append(tar, key + SUFFIXES[kind][0], image)
        _append(tar, f"{key}.cls", label.encode("utf-8"))

    def _tar(self, name: str) -> tarfile.TarFile:
        tar = self._open.get(name)
        if tar is not None and tar.offset < self._shard_bytes:
            return tar
        if tar is not None:
            tar.close()
        number = self._shards[name]
        self._shards[name] += 1
        self._open[name] = tarfile.open(self._folder / f"{name}-{number:05}.tar", "w")  # noqa: SIM115
        return self._open[name]


def _append(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
