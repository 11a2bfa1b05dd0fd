"""`push`: a shared folder onto the Hugging Face hub, by the hub's own client."""

import re
import tempfile
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from lacewing.deploy.export.carry_out import export_run
from lacewing.deploy.share.folder import CARD, WEIGHTS
from lacewing.errors import ConfigError, RunError, UserError
from lacewing.models.sources import FetchError, check_reachable, hub_address, in_short
from lacewing.store.run import Run

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
PLACEHOLDER = "OWNER/NAME"
"""In the card, for the name under which it is shared."""


def push(place: Path, name: str, *, private: bool = False, client: Any = None) -> str:
    """Share a run, or a folder that `export --to hub` wrote, as `owner/name`; its address.

    A folder goes as it is, so that its card can be edited before. `client` is a
    huggingface_hub.HfApi, by default one with the token of `hf auth login` or HF_TOKEN. Raises
    ConfigError for the name, RunError for the place, UserError where the hub can't be reached
    or refuses, and what `export_run` raises.
    """
    if not REPOSITORY.fullmatch(name):
        raise ConfigError(f"{name!r} names no repository on the hub: write owner/name.")
    client = client or connected()
    if Run(place).config.is_file():
        with tempfile.TemporaryDirectory() as parent:
            folder = export_run(place, "hub", Path(parent) / "hub").folder
            return upload(client, named(folder, name), name, private)
    if not ((place / CARD).is_file() and (place / WEIGHTS).is_file()):
        raise RunError(
            f"{place} is neither a run folder nor one that `lacewing export RUN --to hub` wrote."
        )
    return upload(client, place, name, private)


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
