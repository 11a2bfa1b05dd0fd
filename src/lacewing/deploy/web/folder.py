"""The web export: the ONNX file, its runtime and the page, ready for any file server."""

import json
import shutil
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path

from lacewing.deploy.export import onnx_file
from lacewing.deploy.export.exporter import Source
from lacewing.deploy.web.runtime import FILES, NOTICE, runtime_folder

PAGE = ("page.css", "page.js", "icon.svg")
OWN = ("engine.js", "square.js", "manifest.webmanifest", "icon-192.png", "icon-512.png")
HEAD_MARK = "<!-- engine's own head -->\n"
WORKER = "sw.js"


def write(source: Source, folder: Path) -> None:
    """Write the page, its runtime and model.onnx.

    Raises what `runtime_folder` and the ONNX writer raise.
    """
    runtime = runtime_folder()
    onnx_file.write(source, folder)
    copy_page(folder)
    (folder / "runtime").mkdir()
    for name in FILES:
        shutil.copyfile(runtime / name, folder / "runtime" / name)
    (folder / "runtime" / "NOTICE.txt").write_text(NOTICE, encoding="utf-8")


def copy_page(folder: Path) -> None:
    """The page with this export's engine, and what makes it installable."""
    deploy = files("lacewing.deploy")
    for name in PAGE:
        (folder / name).write_bytes((deploy / "page" / name).read_bytes())
    for name in OWN:
        (folder / name).write_bytes((deploy / "web" / name).read_bytes())
    page = (deploy / "page" / "index.html").read_text(encoding="utf-8")
    head = (deploy / "web" / "head.html").read_text(encoding="utf-8")
    (folder / "index.html").write_text(page.replace(HEAD_MARK, head), encoding="utf-8")


def finish(folder: Path) -> None:
    """Write the service worker, which knows every file and a version made of their contents."""
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    digest = blake2b(digest_size=8)
    for name in names:
        digest.update(name.encode())
        digest.update((folder / name).read_bytes())
    text = (files("lacewing.deploy") / "web" / WORKER).read_text(encoding="utf-8")
    listed = json.dumps(["./", *names], indent=2)
    text = text.replace("@VERSION@", digest.hexdigest()).replace("@FILES@", listed)
    (folder / WORKER).write_text(text, encoding="utf-8")
