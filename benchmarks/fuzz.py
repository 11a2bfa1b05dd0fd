"""Coverage-guided fuzzing of everything that reads a file from a stranger, by atheris.

Whatever the bytes are, a reader gives a value or raises the error that it promises; anything
else, and anything that takes longer than ten seconds or 2 GB, is written to crash-* and ends it.

    pip install atheris
    python benchmarks/fuzz.py TARGET [--seconds 60]

TARGET is one of: list table classes config plan index model checkpoint events shard image.
"""

import argparse
import io
import json
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np
from PIL import Image
from safetensors.numpy import save

with atheris.instrument_imports(include=["lacewing", "yaml"]):
    from lacewing.config import TrainConfig, load_config
    from lacewing.data.csv_table import read_csv
    from lacewing.data.index import ImageIndex
    from lacewing.data.lists import read_list
    from lacewing.data.names import read_classes
    from lacewing.data.rgb import UnreadableImageError, open_rgb
    from lacewing.data.shards import is_shard, read_shard
    from lacewing.errors import UserError
    from lacewing.models.bundle import load_model
    from lacewing.planning.document import load_plan
    from lacewing.store.run import Run, read_lines
    from lacewing.training.checkpoint import load_checkpoint


def checkpoint(file: Path) -> None:
    """A checkpoint whose manifest, or else whose state, is the file."""
    run = Run(file.parent / "run")
    folder = run.checkpoints / "step-00000001"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_bytes(file.read_bytes())
    load_checkpoint(run)


def shard(file: Path) -> None:
    """A tar file, read as `recognise` does."""
    archive = file.rename(file.with_suffix(".tar"))
    is_shard(archive)
    read_shard(archive, archive.parent)


def model(file: Path) -> None:
    """A file of weights, by its suffix."""
    load_model(file.rename(file.with_suffix(".safetensors")))


READERS: dict[str, Callable[[Path], object]] = {
    "list": lambda file: read_list(file, "train"),
    "table": read_csv,
    "classes": read_classes,
    "config": lambda file: TrainConfig(**load_config(file)),
    "plan": load_plan,
    "index": ImageIndex.load,
    "model": model,
    "checkpoint": checkpoint,
    "events": lambda file: list(read_lines(file)),
    "shard": shard,
    "image": open_rgb,
}
PROMISED = {"image": (OSError, UnreadableImageError), "events": ()}
"""What a reader may raise; a UserError where nothing is said."""


def seeds(target: str) -> list[bytes]:
    """Sound files to begin from; what is not text is made here."""
    if target == "image":
        return [saved(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")]
    if target == "shard":
        return [tar({"a/0.png": saved("PNG"), "a/0.cls": b"1", "a/1.png": b"", "a/1.json": b"{}"})]
    if target == "model":
        record = json.dumps({"version": 1, "model": "resnet", "classes": ["a", "b"]})
        return [save({"w": np.zeros(3, np.float32)}, metadata={"lacewing": record})]
    return [text.encode() for text in TEXTS.get(target, ())]


TEXTS = {
    "list": ("a.jpg 0\nb c.jpg 12\n", '"a.jpg", 0\r\n', "\ufeff./a\\b.jpg;3\n"),
    "table": ("path,label,split\na.jpg,ants,train\n", 'a.jpg;"be;es"\n', "file\tclass\nx\t1\n"),
    "classes": ("1 rice leaf roller\n2 grub\n", "ants\nbees\n", "0: a\n1: b\n"),
    "config": ("epochs: 3\nmodel: resnet\n", "data: &a x\nname: *a\n", "batch-size: 1e3\n"),
    "plan": ("version: 1\ndecisions:\n  device:\n    value: cpu\n    reason: x\nnotes: []\n",),
    "checkpoint": ('{"version": 1, "files": {"manifest.json": {"bytes": 1, "blake2b": ""}}}',),
    "events": ('{"kind": "a", "message": "b"}\n[1]\n{"x": 1e9}\n',),
}


def saved(kind: str) -> bytes:
    """A small picture."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((9, 7)).save(file, kind)
    return file.getvalue()


def tar(members: dict[str, bytes]) -> bytes:
    """A tar file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def main() -> None:
    """Fuzz one reader for the given time."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("target", choices=READERS)
    words.add_argument("--seconds", type=int, default=60)
    given = words.parse_args()
    read, promised = READERS[given.target], PROMISED.get(given.target, (UserError,))
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, content in enumerate(seeds(given.target)):
        (corpus / str(number)).write_bytes(content)

    def once(content: bytes) -> None:
        file = folder / "file"
        file.write_bytes(content)
        try:
            read(file)
        except promised:
            return

    limits = ["-timeout=10", "-rss_limit_mb=2048", f"-max_total_time={given.seconds}"]
    atheris.Setup([sys.argv[0], *limits, str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
