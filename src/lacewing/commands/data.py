"""The commands that look at data: `data check`, and `cache info` and `cache clear`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from lacewing import console
from lacewing.commands.command import Command
from lacewing.config import Short
from lacewing.data.cached import KINDS as KEPT
from lacewing.errors import ConfigError
from lacewing.fields import boolean, one_of, path, text
from lacewing.flags import Given, Word, flags_of, options_from
from lacewing.training.signals import interrupt_on_signals
from lacewing.values import format_bytes

if TYPE_CHECKING:
    from lacewing.data.audit.findings import Report

SENTENCES = 3
"""Findings of one kind that the screen writes out; --json has all of them, the page most."""
FOUND_ERRORS = 2
"""Exit code of `data check` where there is a leak, a conflict or a file that can't be read."""


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What `data` takes."""

    action: Annotated[str, one_of("check"), Word()]
    """check: look for broken files, duplicates, leaks, wrong labels and rare classes. Exit code
    0 where there is no error, 2 where there is one. Changes nothing."""
    data: Annotated[str, text(metavar="PATH"), Word()]
    """A folder of images, a .csv, a .tar, or a data set's name."""
    out: Annotated[Path | None, path(metavar="FILE", optional=True), Short("-o")] = None
    """Write what was found, with small pictures, into this .html file."""
    fix: Annotated[Path | None, path(metavar="FILE", optional=True)] = None
    """Write a list (.csv: path, label, split) of the images without broken files, conflicting
    labels and leaks, for train --data. No image is touched."""
    json: Annotated[bool, boolean()] = False
    """Print everything that was found as JSON."""
    images: Annotated[Path | None, path(metavar="FOLDER", optional=True)] = None
    """Where the images lie if not beside their lists."""
    data_root: Annotated[Path | None, path(metavar="FOLDER", optional=True)] = None
    """Where to look for data sets given by name."""


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """What `cache` takes."""

    action: Annotated[str, one_of("info", "clear"), Word()]
    """info: what is kept to save time, and how large it is; clear: delete it."""
    kind: Annotated[str | None, one_of(*KEPT, optional=True), Word()] = None
    """Clear only this kind of what `cache info` shows."""
    json: Annotated[bool, boolean()] = False
    """Print JSON."""


def data(given: Given) -> int:
    """Check a data set."""
    options = options_from(DataOptions, given)
    check_targets(options)
    with interrupt_on_signals():
        report = checked(options)
    if options.out is not None:
        from lacewing.data.audit.page import write_page

        write_page(report, options.out)
    left_out = None
    if options.fix is not None:
        from lacewing.data.audit.cleaned import write_cleaned

        left_out = write_cleaned(report, options.fix)
    if options.json:
        console.as_json(report.as_dict())
    else:
        show(report)
        if options.out is not None:
            console.say(f"The page is {options.out}.")
        if left_out is not None:
            console.say(f"The cleaned list is {options.fix}; {left_out:,} "
                        f"{'file was' if left_out == 1 else 'files were'} left out: "
                        f"`lacewing train --data {options.fix}` uses it.")  # fmt: skip
    return FOUND_ERRORS if report.errors else 0


def check_targets(options: DataOptions) -> None:
    """Raise ConfigError, before any work is done, for files that can't be written."""
    from lacewing.data.locate import find_path

    if options.out is not None and options.out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"-o writes a page, an .html, but it was {str(options.out)!r}.")
    if options.fix is not None and options.fix.suffix.lower() != ".csv":
        raise ConfigError(f"--fix writes a .csv, but it was {str(options.fix)!r}.")
    place = find_path(options.data, options.data_root)
    for flag, file in (("-o", options.out), ("--fix", options.fix)):
        if file is None:
            continue
        if file.is_dir():
            raise ConfigError(f"{flag} names a file, but {file} is a folder.")
        if not file.parent.is_dir():
            raise ConfigError(
                f"{flag}: there is no folder {file.parent} to write {file.name} into."
            )
        if place is not None and file.exists() and file.samefile(place):
            raise ConfigError(f"{flag} would replace {file}, which is checked: name another file.")
    if options.fix is not None:
        check_list(options.fix, place)


def check_list(file: Path, place: Path | None) -> None:
    """Raise ConfigError for a cleaned list that would replace another table or be taken for one."""
    from lacewing.data.audit.cleaned import may_be_cleaned
    from lacewing.data.layouts import candidates

    if not may_be_cleaned(file):
        raise ConfigError(
            f"--fix would replace {file}, which is no list that lacewing wrote: name another file."
        )
    if place is None or not place.is_dir():
        return
    if any(file.parent.samefile(folder) for folder in candidates(place)):
        beside = place.resolve().parent / file.name
        raise ConfigError(
            f"--fix: {file} would lie in the folder that is checked and be taken for its table: "
            f"write it beside that folder, for example to {beside}."
        )


def checked(options: DataOptions) -> "Report":
    """Read every image and run the checks, with progress."""
    from lacewing.data.audit.read import read_images
    from lacewing.data.audit.run import audit
    from lacewing.data.sample import draw_sample
    from lacewing.hardware.limits import usable_cores

    threads = usable_cores().value
    with console.progress("reading the images") as update:
        images = read_images(
            options.data,
            data_root=options.data_root,
            images=options.images,
            threads=threads,
            progress=update,
            draw_sample=draw_sample,
        )
    with console.progress("comparing pictures and formats") as update:
        return audit(images, threads=threads, progress=update)


def show(report: "Report") -> None:
    """The report on the screen: a table of kinds, and the gravest findings in words."""
    from lacewing.data.audit.findings import KINDS

    counts = ", ".join(f"{split} {count:,}" for split, count in report.images.items())
    console.say(f"{report.index.root}: {report.index.layout}; "
                f"{counts} images of {len(report.index.classes)} classes")  # fmt: skip
    for sentence in report.notes:
        console.note(sentence)
    if not report.findings:
        console.say("Nothing was found to be wrong.")
        return
    rows = [(kind.severity, kind.title, f"{len(found):,}", f"{sum(len(f.files) for f in found):,}")
            for name, kind in KINDS.items() if (found := report.of(name))]  # fmt: skip
    console.table(("severity", "what", "found", "files"), rows)
    shown = [finding for name in KINDS for finding in report.of(name)[:SENTENCES]]
    for finding in shown:
        example = f" ({', '.join(finding.files[:2])})" if finding.files else ""
        console.say(f"{finding.severity}: {finding.sentence}{example}")
    if len(report.findings) > len(shown):
        console.note(f"{len(report.findings) - len(shown):,} more; -o FILE.html shows them.")


def cache(given: Given) -> int:
    """Show or clear what is kept to save time."""
    options = options_from(CacheOptions, given)
    from lacewing.data.cache import cache_folder
    from lacewing.data.cached import cache_contents, clear_cache

    folder = cache_folder()
    if options.action == "clear":
        freed = clear_cache(folder, options.kind, console.note)
        what = options.kind or "everything"
        console.say(f"Cleared {what} in {folder}: {format_bytes(freed)}.")
        return 0
    contents = cache_contents(folder)
    if options.json:
        console.as_json({"folder": str(folder), "contents": [asdict(one) for one in contents]})
        return 0
    console.say(f"The cache is {folder}.")
    rows = [(one.kind, f"{one.files:,}", format_bytes(one.bytes), one.about) for one in contents]
    console.table(("kind", "files", "size", "what"), rows)
    return 0


COMMANDS = {
    "data": Command("Check images for broken files, duplicates, leaks and wrong labels.",
                    lambda: flags_of(DataOptions), data, without_torch=True),
    "cache": Command("Show or clear what is kept to save time.",
                     lambda: flags_of(CacheOptions), cache, without_torch=True),
}  # fmt: skip
