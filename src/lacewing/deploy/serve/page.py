"""The files of the page, read once: the server has no way to read any other."""

from dataclasses import dataclass
from importlib.resources import files

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGE = ("index.html", "page.css", "page.js", "icon.svg")
ENGINE = "engine.js"


@dataclass(frozen=True)
class Asset:
    """A file and what it is."""

    content: bytes
    media_type: str


def page_assets() -> dict[str, Asset]:
    """The page by path: "/" is its HTML."""
    deploy = files("lacewing.deploy")
    found = {name: deploy / "page" / name for name in PAGE}
    found[ENGINE] = deploy / "serve" / ENGINE
    assets = {
        f"/{name}": Asset(file.read_bytes(), TYPES[name[name.rindex(".") :]])
        for name, file in found.items()
    }
    return {"/": assets.pop("/index.html"), **assets}
