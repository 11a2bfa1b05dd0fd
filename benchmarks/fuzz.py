"""Coverage-guided fuzzing of everything that reads a file from a stranger, by atheris.

Whatever the bytes are, a reader gives a value or raises the error that it promises; anything
else, and anything that takes longer than ten seconds or 2 GB, is written to crash-* and ends it.

    pip install atheris
    python benchmarks/fuzz.py TARGET [--seconds 60]

TARGET is one of: list table classes config plan index model checkpoint events shard image.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lacewing", "yaml", "json", "tarfile", "csv"]):
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


def main() -> None:
    """Fuzz one reader for the given time."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("target", choices=READERS)
    words.add_argument("--seconds", type=int, default=60)
    given = words.parse_args()
    read, promised = READERS[given.target], PROMISED.get(given.target, (UserError,))
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))

    def once(content: bytes) -> None:
        file = folder / "file"
        file.write_bytes(content)
        try:
            read(file)
        except promised:
            return

    limits = ["-timeout=10", "-rss_limit_mb=2048", f"-max_total_time={given.seconds}"]
    atheris.Setup([sys.argv[0], *limits], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
