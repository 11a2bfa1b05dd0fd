"""`push`: a shared folder onto the Hugging Face hub, by the hub's own client."""

import re
import tempfile
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from lacewing.deploy.export.carry_out import export_run
from lacewing.deploy.share.folder import CARD, WEIGHTS
from lacewing.deploy.share.licences import find_licence
from lacewing.errors import ConfigError, RunError, UserError
from lacewing.models.sources import FetchError, check_reachable, hub_address, in_short
from lacewing.store.run import Run

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
PLACEHOLDER = "OWNER/NAME"
"""In the card, for the name under which it is shared."""


def push(
    place: Path,
    name: str,
    *,
    private: bool = False,
    licence: str | None = None,
    client: Any = None,
) -> str:
    """Share a run, or a folder that `export --to hub` wrote, as `owner/name`; its address.

    A folder goes as it is, so that its card can be edited before. `licence` is one that the hub
    knows, for the card of a run. `client` is a huggingface_hub.HfApi, by default one with the token
    of `hf auth login` or HF_TOKEN. Raises ConfigError for the name, for the licence, and for one
    that is given with a folder; RunError for the place, UserError where the hub can't be reached
    or refuses, and what `export_run` raises.
    """
    if not REPOSITORY.fullmatch(name):
        raise ConfigError(f"{name!r} names no repository on the hub: write owner/name.")
    is_run = Run(place).config.is_file()
    if not is_run:
        check_folder(place, licence)
    elif licence is not None:
        find_licence(licence)
    client = client or connected()
    if not is_run:
        return upload(client, place, name, private)
    with tempfile.TemporaryDirectory() as parent:
        folder = export_run(place, "hub", Path(parent) / "hub", licence).folder
        return upload(client, named(folder, name), name, private)


def check_folder(place: Path, licence: str | None) -> None:
    """Raise RunError for what can't be shared, ConfigError for a licence beside a folder."""
    if not ((place / CARD).is_file() and (place / WEIGHTS).is_file()):
        raise RunError(
            f"{place} is neither a run folder nor one that `lacewing export RUN --to hub` wrote."
        )
    if licence is not None:
        raise ConfigError(
            f"--license is for a run, and {place} goes to the hub as it is: write `license: "
            f"{find_licence(licence)}` into the header of its {CARD}."
        )


def connected() -> HfApi:
    """The hub's client. Raises UserError where the hub can't be reached."""
    try:
        check_reachable(hub_address())
    except FetchError as error:
        raise UserError(f"Nothing was shared: {error}.") from None
    return HfApi(library_name="lacewing")


def named(folder: Path, name: str) -> Path:
    """The folder, its card with the name under which it is shared."""
    card = folder / CARD
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace(PLACEHOLDER, name), encoding="utf-8")
    return folder


def upload(client: Any, folder: Path, name: str, private: bool) -> str:
    """Make the repository where there is none, and put every file into it in one commit."""
    try:
        made = client.create_repo(name, private=private, exist_ok=True)
        client.upload_folder(
            repo_id=name, folder_path=folder, commit_message="Share a model of lacewing"
        )
    except Exception as error:  # the client may raise its HTTP library's own errors
        raise UserError(
            f"The hub refused {name} ({in_short(error)}): `hf auth login` with a token that may "
            "write there, and try again."
        ) from error
    return str(made)
