"""Which file of weights a name means: a run, a file, a shared folder, a zip, the hub.

Only safetensors are read, which can't hold code, and of an archive one file only, into a name
of our own: so nothing that others share can run or land elsewhere.
"""

import os
import shutil
import zipfile
import zlib
from hashlib import blake2b
from pathlib import Path, PurePosixPath

from lacewing.data.cache import cache_folder
from lacewing.deploy.place import HUB, check_place
from lacewing.errors import RunError, WeightsError
from lacewing.models.sources import FetchError, Places, from_hub, hub_file
from lacewing.store.run import Run
from lacewing.values import format_bytes

WEIGHTS = Run(Path()).model.name


def model_file(place: Path) -> Path:
    """The safetensors file that a place means.

    A place is a run folder, a file, a folder or .zip with a model.safetensors, or
    `hub:owner/name`, to which @REVISION may be added. Raises RunError where there is none, and
    WeightsError for an archive or a repository that can't be read.
    """
    name = place.as_posix()
    if name.startswith(HUB):
        return from_repository(name.removeprefix(HUB))
    check_place(place)
    if place.is_dir():
        return in_folder(place)
    return from_zip(place) if place.suffix.lower() == ".zip" else place


def in_folder(folder: Path) -> Path:
    """The weights in a run's folder or in a shared one. Raises RunError."""
    run = Run(folder)
    if run.model.is_file():
        return run.model
    if not run.config.is_file():
        raise RunError(
            f"{folder} is neither a run folder nor a shared model: it has no {run.config.name} "
            f"and no {run.model.name}."
        )
    raise RunError(
        f"The run {folder} has no {run.model.name}: no epoch of it was finished, or it was "
        f"trained with --save-model False; `lacewing resume {folder}` goes on with it."
    )


def from_zip(archive: Path) -> Path:
    """The weights in an archive, copied once into the cache. Raises WeightsError."""
    state = archive.stat()
    stamp = f"{archive.resolve()} {state.st_size} {state.st_mtime_ns}"
    folder = cache_folder() / "models" / blake2b(stamp.encode(), digest_size=8).hexdigest()
    target = folder / WEIGHTS
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{WEIGHTS}.{os.getpid()}.tmp"
    try:
        extract(archive, temporary)
        temporary.replace(target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise WeightsError(
            f"{archive} is no zip that can be read ({error}): copy it anew, or unpack it yourself."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
    return target


def extract(archive: Path, target: Path) -> None:
    """Copy the one model in an archive into a file. Raises WeightsError."""
    with zipfile.ZipFile(archive) as opened:
        member = find_member(archive, opened.infolist())
        free = shutil.disk_usage(target.parent).free
        if member.file_size > free:
            raise WeightsError(
                f"The model in {archive} needs {format_bytes(member.file_size)}, and "
                f"{format_bytes(free)} are free at {target.parent}: set LACEWING_CACHE to a folder "
                "with room."
            )
        # zipfile reads no more than the size that was checked
        with opened.open(member) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)


def find_member(archive: Path, members: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    """The model.safetensors nearest to the archive's top. Raises WeightsError."""
    files = [one for one in members if not one.is_dir()]
    named = [one for one in files if PurePosixPath(one.filename).name == WEIGHTS]
    if not named:
        raise WeightsError(f"{archive} holds no {WEIGHTS}: it is no shared model of lacewing.")
    depths = [one.filename.count("/") for one in named]
    nearest = [one for one, depth in zip(named, depths, strict=True) if depth == min(depths)]
    if len(nearest) > 1:
        raise WeightsError(
            f"{archive} holds {len(nearest)} models, {nearest[0].filename} among them: unpack it, "
            "and name one."
        )
    return nearest[0]


def from_repository(name: str) -> Path:
    """The weights of `owner/name` on the hub: the newest, or those fetched before without a
    network. Raises WeightsError.
    """
    places = Places(hub_id=name, hub_files=(WEIGHTS,))
    if name.partition("@")[0].count("/") != 1:
        raise WeightsError(f"{HUB}{name} names no repository: write {HUB}OWNER/NAME.")
    try:
        return from_hub(places)
    except FetchError as error:
        kept = hub_file(places)
        if kept is None:
            raise WeightsError(
                f"{HUB}{name} can't be fetched ({error}): check the name and the network; a "
                "private one needs `hf auth login`."
            ) from None
        return kept
