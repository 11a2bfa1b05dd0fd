"""What the pages point at is there, and what is written from the code is current."""

import importlib.util
import re
from pathlib import Path

import pytest

import lacewing
from lacewing.store.run import Run

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(lacewing.__file__).parent
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FILE = re.compile(r"`((?:src|docs|benchmarks|tests|recipes)/[\w./-]*)`")
TABLE_IN = re.compile(r"`([A-Z][A-Z_]+)` in `([\w/]+\.py)`")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        file = page.parent / place if place else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}"


def test_named_files_are_there(page):
    for name in FILE.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), f"{page.name} names {name}"


def test_named_tables_are_where_they_are_said_to_be():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = TABLE_IN.findall(text)
    assert len(named) >= 6
    for table, file in named:
        code = (SOURCE / file).read_text(encoding="utf-8")
        assert re.search(rf"^{table}\b", code, re.MULTILINE), f"{table} is not in {file}"


def test_every_room_of_the_package_is_described():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [f"{item.name}/" for item in SOURCE.iterdir() if (item / "__init__.py").is_file()]
    assert len(rooms) >= 8
    assert [room for room in rooms if f"`{room}`" not in text] == []


def test_every_file_of_a_run_is_described():
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    run = Run(Path("run"))
    names = [n for n, kind in vars(Run).items() if isinstance(kind, property)]
    files = [getattr(run, name).name for name in names]
    assert "model.safetensors" in files
    assert [file for file in files if f"`{file}" not in text] == []


@pytest.mark.parametrize("page_name", ["cli", "tiers"])
def test_a_generated_page_is_current(page_name):
    script = ROOT / "docs" / f"make_{page_name}.py"
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / f"{page_name}.md").read_text(encoding="utf-8")
    assert written == module.page(), f"run `python docs/make_{page_name}.py`"
