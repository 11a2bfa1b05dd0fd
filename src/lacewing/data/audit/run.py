"""`audit`: every check, and the report."""

from lacewing.data.audit import checks
from lacewing.data.audit.findings import KINDS, Report
from lacewing.data.audit.pictures import same_pictures
from lacewing.data.audit.read import Images
from lacewing.data.scan import Progress


def audit(images: Images, *, threads: int = 2, progress: Progress | None = None) -> Report:
    """Check a data set that was read by `read_images`; nothing is changed.

    `progress` gets the numbers of pictures compared and to be compared, then those of files whose
    format was looked at and of all.
    """
    index = images.index
    readers = max(threads, images.readers)
    groups, passed = same_pictures(index, threads=readers, progress=progress)
    findings = [
        *checks.corrupt(index),
        *checks.repeated(images),
        *checks.same_picture(index, groups),
        *checks.uncompared(index, passed),
        *checks.extensions(index, readers, progress),
        *checks.balance(index),
        *checks.sizes(index),
        *checks.twin_classes(index),
    ]
    order = list(KINDS)
    return Report(
        index=index,
        groups=groups,
        conflicts=checks.conflicting_names(images.repeated),
        findings=tuple(sorted(findings, key=lambda finding: order.index(finding.kind))),
        notes=index.notes,
    )
