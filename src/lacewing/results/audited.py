"""The data audit as far as a run's own index tells it; the images are not opened again."""

from collections import Counter

from lacewing.data.audit import checks
from lacewing.data.audit.findings import KINDS, Finding
from lacewing.data.audit.same import contents_of
from lacewing.data.index import ImageIndex
from lacewing.errors import DataError
from lacewing.results.tables import Row
from lacewing.store.run import Run

MOST_IMAGES = 500_000
"""Of a larger index nothing is compared here: it would hold up the report."""
SHOWN = 3
"""Findings of one kind that are listed."""


def audit_rows(run: Run) -> list[Row]:
    """A row per kind of finding, the graver first; [] without an index that can be read."""
    try:
        index = ImageIndex.load(run.index)
    except DataError:  # the report says of every piece that it lacks; this one is a copy
        return []
    if len(index) > MOST_IMAGES:
        return []
    findings = audit_index(index)
    counts = Counter(finding.kind for finding in findings)
    return [
        {
            "severity": KINDS[kind].severity,
            "title": KINDS[kind].title,
            "count": counts[kind],
            "sentences": [one.sentence for one in findings if one.kind == kind][:SHOWN],
            "remedy": KINDS[kind].remedy,
        }
        for kind in KINDS
        if counts[kind]
    ]


def audit_index(index: ImageIndex) -> list[Finding]:
    """The checks that need only paths, labels, splits, sizes and hashes."""
    return [
        *checks.corrupt(index),
        *checks.same_picture(index, contents_of(index)),
        *checks.balance(index),
        *checks.sizes(index),
        *checks.twin_classes(index),
    ]
