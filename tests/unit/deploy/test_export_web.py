"""The web folder is complete, and its runtime comes from npm, never from the repository."""

import json
import re
import stat
import tarfile

import numpy as np
import pytest
from torch import nn

from lacewing.data.preprocess import Preprocessing
from lacewing.deploy.export import onnx_file
from lacewing.deploy.export.exporter import Source
from lacewing.deploy.export.graph import Deployable
from lacewing.deploy.web import folder as web_folder
from lacewing.deploy.web import runtime
from lacewing.errors import LacewingError, UserError
from lacewing.store.run import Run


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(runtime.FOLDER_VARIABLE, raising=False)


@pytest.fixture
def package(tmp_path):
    """A folder as npm installs the package."""
    dist = tmp_path / "package" / "dist"
    dist.mkdir(parents=True)
    for name in (*runtime.FILES, "ort.all.js"):
        (dist / name).write_text(f"// {name}")
    return dist.parent


@pytest.fixture
def npm(monkeypatch, tmp_path):
    """`npm(script)` puts a program called npm first on the PATH."""

    def make(script):
        program = tmp_path / "bin" / "npm"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr("shutil.which", lambda name: str(program))

    return make


def test_a_folder_that_is_named_is_used(monkeypatch, package):
    for named in (package, package / "dist"):
        monkeypatch.setenv(runtime.FOLDER_VARIABLE, str(named))
        assert runtime.runtime_folder() == package / "dist"
    (package / "dist" / runtime.FILES[0]).unlink()
    with pytest.raises(UserError, match=f"{runtime.FOLDER_VARIABLE} names .* there is no"):
        runtime.runtime_folder()


def test_without_npm_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(UserError, match="there is no npm to fetch it: install Node"):
        runtime.runtime_folder()


def test_npm_fetches_once_and_only_what_is_needed(npm, package, tmp_path):
    archive = tmp_path / "made.tgz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(package, "package")
    asked = tmp_path / "asked.txt"
    npm(f'echo "$@" >> {asked}; cp {archive} here.tgz')
    kept = runtime.runtime_folder()
    assert kept == runtime.runtime_folder()
    assert sorted(path.name for path in kept.iterdir()) == sorted(runtime.FILES)
    assert asked.read_text() == f"pack {runtime.PACKAGE}@{runtime.VERSION} --silent\n"


def test_what_npm_says_is_passed_on(npm, tmp_path):
    npm("echo 'no such host' >&2; exit 1")
    with pytest.raises(LacewingError, match=r"npm could not fetch .* \(no such host\)"):
        runtime.runtime_folder()
    assert list((tmp_path / "cache" / "runtime").iterdir()) == []


@pytest.fixture
def page(tmp_path):
    """A folder with the page and a stand-in for the model."""
    place = tmp_path / "page"
    place.mkdir()
    web_folder.copy_page(place)
    (place / "model.onnx").write_bytes(b"weights")
    (place / "model.json").write_text("{}")
    return place


def listed(place):
    """Version and files of the service worker."""
    text = (place / "sw.js").read_text()
    files = json.loads(re.search(r"const FILES = (\[.*?\]);", text, re.DOTALL)[1])
    return re.search(r"const VERSION = `(.*?)`", text)[1], files


def test_the_worker_keeps_every_file(page):
    web_folder.finish(page)
    version, files = listed(page)
    assert re.fullmatch(r"\$\{OURS\}[0-9a-f]{16}", version), "the scope's own caches only"
    there = {path.relative_to(page).as_posix() for path in page.rglob("*") if path.is_file()}
    assert set(files) == there - {"sw.js"} | {"./"}


def test_another_model_is_another_version(page):
    web_folder.finish(page)
    before = listed(page)[0]
    (page / "model.onnx").write_bytes(b"other")
    web_folder.finish(page)
    assert listed(page)[0] != before


def test_the_page_is_installable_and_names_no_other_place(page):
    text = (page / "index.html").read_text()
    assert "<!--" not in text.split("</head>")[0]
    wanted = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert {"manifest.webmanifest", "icon-192.png", "page.js"} <= set(wanted)
    manifest = json.loads((page / "manifest.webmanifest").read_text())
    wanted += [icon["src"] for icon in manifest["icons"]]
    for script in ("page.js", "engine.js"):
        imports = re.findall(r'from "\./([^"]+)"', (page / script).read_text())
        wanted += [name for name in imports if not name.startswith("runtime/")]
    assert all((page / name).is_file() for name in wanted)


def test_the_page_imports_a_runtime_that_is_fetched(page):
    text = (page / "engine.js").read_text()
    assert set(re.findall(r'runtime/([\w.-]+\.\w+)"', text)) == set(runtime.FILES)


def test_the_folder_has_model_runtime_and_notice(monkeypatch, package, tmp_path):
    monkeypatch.setenv(runtime.FOLDER_VARIABLE, str(package))
    monkeypatch.setattr(
        onnx_file, "write", lambda source, place: (place / "model.onnx").write_bytes(b"onnx")
    )
    rule = Preprocessing(image_size=8, mean=(0.5,) * 3, std=(0.5,) * 3)
    place = tmp_path / "out"
    place.mkdir()
    source = Source(Deployable(nn.Identity(), rule), 8, lambda: np.empty(0), Run(tmp_path))
    web_folder.write(source, place)
    assert (place / "model.onnx").read_bytes() == b"onnx"
    there = {path.name for path in (place / "runtime").iterdir()}
    assert there == {*runtime.FILES, "NOTICE.txt"}
    assert "MIT License" in (place / "runtime" / "NOTICE.txt").read_text()
