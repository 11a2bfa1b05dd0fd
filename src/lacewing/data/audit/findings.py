"""Finding and Report: what an audit hands back."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lacewing.data.index import SPLITS, ImageIndex


@dataclass(frozen=True)
class Kind:
    """What can be wrong with a data set."""

    severity: str
    """error: training or its figures go wrong; warning: worth a look."""
    title: str
    remedy: str
    """What to do about it, a sentence."""


KINDS = {
    "leakage": Kind("error", "The same picture in two splits",
                    "It makes the figures of val and test too good: --fix keeps it in one split."),
    "conflict": Kind("error", "The same file under two labels",
                     "Decide which label is right; --fix leaves such files out."),
    "corrupt": Kind("error", "Files that can't be read",
                    "Training passes them over; get them again, convert photos of another format, "
                    "or let --fix leave them out."),
    "near-conflict": Kind("warning", "Near-identical pictures under two labels",
                          "One label may be wrong, or one scene was taken with and without its "
                          "subject; --fix keeps them."),
    "uncompared": Kind("warning", "Pictures too much alike to be compared",
                       "Leaks among them were not looked for: split the pictures of one camera or "
                       "film as a whole."),
    "repeated": Kind("warning", "Files that are named more than once",
                     "Training uses each file once."),
    "duplicate": Kind("warning", "Equal files of one class and split",
                      "They count more than others; one of each would do."),
    "near-duplicate": Kind("warning", "Near-identical pictures of one class and split",
                           "They count more than others; one of each would do."),
    "extension": Kind("warning", "Files with a wrong extension",
                      "lacewing reads them by their content; other programs may not."),
    "imbalance": Kind("warning", "Unequal classes",
                      "Rare classes are learnt badly; look at the figures per class."),
    "tiny-class": Kind("warning", "Classes with few training images",
                       "They can hardly be learnt: find more images, or join classes."),
    "small": Kind("warning", "Very small pictures", "Enlarged, they show little."),
    "long": Kind("warning", "Very long or tall pictures",
                 "Only their middle is seen: crop them around the subject."),
    "twin-classes": Kind("warning", "Classes that may be one, misspelt",
                         "If they mean the same, join their folders."),
}  # fmt: skip
"""Every kind of finding, the graver first. This order is that of tables and pages."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found: of which kind, a sentence, and the files it is about."""

    kind: str
    sentence: str
    files: tuple[str, ...] = ()
    """Relative to the data set's root."""

    @property
    def severity(self) -> str:
        """error or warning."""
        return KINDS[self.kind].severity


@dataclass(frozen=True, kw_only=True)
class Report:
    """What an audit found."""

    index: ImageIndex
    """The readable images; rows that the data set puts into no split have None there."""
    groups: np.ndarray
    """int64 [rows]: images that show the same picture share a number."""
    conflicts: frozenset[str]
    """Paths that the data set itself names with two labels."""
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    def of(self, kind: str) -> list[Finding]:
        """The findings of one kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    @property
    def errors(self) -> int:
        """Findings of severity error."""
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def images(self) -> dict[str, int]:
        """Readable images of each split that there is; "all" where there are no splits."""
        counts = Counter(self.index.table.column("split").to_pylist())
        known = {split: counts[split] for split in SPLITS if counts[split]}
        return known or {"all": len(self.index)}

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "root": str(self.index.root),
            "layout": self.index.layout,
            "images": self.images,
            "classes": list(self.index.classes),
            "errors": self.errors,
            "warnings": len(self.findings) - self.errors,
            "findings": [{**asdict(f), "severity": f.severity} for f in self.findings],
            "notes": list(self.notes),
        }
