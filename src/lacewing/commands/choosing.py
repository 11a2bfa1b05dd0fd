"""The commands that help to choose between runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from lacewing import console
from lacewing.commands.command import Command, check_target
from lacewing.config import Short
from lacewing.errors import ConfigError
from lacewing.fields import boolean, path
from lacewing.flags import Given, Word, flags_of, options_from

FORMATS = (".csv", ".json")
TESTED = (
    "These are test images: they tell how good the chosen run is. Choose by the validation images."
)


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What `compare` takes."""

    runs: Annotated[list[Path], path(metavar="RUN"), Word(many=True)]
    """Run folders; each is held against the first."""
    out: Annotated[Path | None, path(metavar="FILE", optional=True), Short("-o")] = None
    """Write the figures too: a .csv or a .json."""
    json: Annotated[bool, boolean()] = False
    """Print the figures as JSON."""


def compare(given: Given) -> int:
    """Compare runs."""
    options = options_from(CompareOptions, given)
    check_options(options)
    from lacewing.results import compare as results  # slow: it imports torch

    found = results.compare(options.runs)
    if options.out is not None:
        results.write_comparison(found, options.out)
    if options.json:
        console.as_json(found.as_dict())
        return 0
    console.heading(f"Runs on the same {found.images:,} test images")
    console.table(results.COLUMNS, results.run_rows(found))
    console.heading(f"Against {options.runs[0]}")
    console.table(results.PAIR_COLUMNS, results.pair_rows(found))
    console.note(TESTED)
    if options.out is not None:
        console.say(f"The figures are in {options.out}.")
    return 0


def check_options(options: CompareOptions) -> None:
    """Raise ConfigError for less than two runs, and for a file that can't be written."""
    if len(options.runs) < 2:
        raise ConfigError(f"Name two runs or more: {options.runs[0]} alone has nothing beside it.")
    repeated = next((run for run in options.runs if options.runs.count(run) > 1), None)
    if repeated is not None:
        raise ConfigError(f"{repeated} is named twice: name each run once.")
    if options.out is not None:
        check_target(options.out)
        if options.out.suffix.lower() not in FORMATS:
            raise ConfigError(
                f"--out must end in {' or '.join(FORMATS)}, but it was {options.out}."
            )


COMMANDS = {
    "compare": Command("Hold runs against each other on the same test images.",
                       lambda: flags_of(CompareOptions), compare),
}  # fmt: skip
