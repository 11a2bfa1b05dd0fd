"""The audit as one self-contained HTML page, with small pictures of what was found."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from lacewing.data.audit.findings import KINDS, Finding, Report
from lacewing.data.rgb import open_rgb
from lacewing.errors import DataError
from lacewing.store.atomic import write_text

MOST = 200
"""Pictures on a page."""
MOST_OF_KIND = 48
MOST_OF_FINDING = 6
SIDE = 112
"""Pixels of a small picture's longer side."""
MOST_FINDINGS = 300
"""Findings of one kind that are written out."""
WITHOUT_PICTURES = frozenset(("corrupt", "imbalance", "tiny-class", "twin-classes"))


@dataclass(frozen=True)
class Shown:
    """A finding with its pictures: file name and data URI, "" where there is none."""

    finding: Finding
    pictures: list[tuple[str, str]]
    more: int
    """Files that are not shown."""


def write_page(report: Report, file: Path) -> None:
    """Write the page. Raises DataError if it can't be written."""
    environment = Environment(
        loader=PackageLoader("lacewing.data.audit"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("audit.html.j2")
    try:
        write_text(file, template.render(report=report, kinds=KINDS, sections=sections(report)))
    except OSError as error:
        raise DataError(f"The page {file} can't be written: {error.strerror}.") from None


def sections(report: Report) -> list[tuple[str, list[Shown], int]]:
    """Kind, findings shown and number of findings not shown, for every kind that was found."""
    left = MOST
    result = []
    for kind in KINDS:
        findings = report.of(kind)
        of_kind = 0 if kind in WITHOUT_PICTURES else min(left, MOST_OF_KIND)
        shown = []
        for finding in findings[:MOST_FINDINGS]:
            count = min(of_kind, MOST_OF_FINDING, len(finding.files))
            shown.append(_shown(report.index.root, finding, count))
            of_kind, left = of_kind - count, left - count
        if findings:
            result.append((kind, shown, len(findings) - len(shown)))
    return result


def _shown(root: Path, finding: Finding, count: int) -> Shown:
    pictures = [(name, thumbnail(root / name)) for name in finding.files[:count]]
    pictures += [(name, "") for name in finding.files[count:MOST_OF_FINDING]]
    return Shown(finding, pictures, len(finding.files) - len(pictures))


def thumbnail(path: Path) -> str:
    """A small JPEG of a picture as a data URI; "" if it can't be read."""
    try:
        image = open_rgb(path, at_least=SIDE)
    except (OSError, ValueError):  # the page then shows the name alone
        return ""
    image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
