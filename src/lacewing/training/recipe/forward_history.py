"""What earlier races of forward-only passes found: one file per question, in the cache folder."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lacewing.data.cache import cache_folder
from lacewing.hardware.machine import Machine
from lacewing.parsing import parse_json
from lacewing.planning.trial.history import digest, fingerprint, write_found
from lacewing.planning.trial.race import Lane
from lacewing.planning.trial.ways import Way

VERSION = 1
"""Of the race: what an older one found is not used."""


def key_of(
    machine: Machine, address: str, network: tuple[str, int, int], ways: Sequence[Way], how: str
) -> str:
    """The name of a question: the machine with its versions, the work, and the ways that race.

    `network` is its name, classes and image size; `how` is what else the passes are run by.
    """
    question = {
        "version": VERSION,
        "machine": fingerprint(machine, address),
        "network": network,
        "ways": [asdict(way) for way in ways],
        "how": how,
    }
    return digest(question)


def recall(key: str) -> list[Lane[Way]]:
    """What was found for a question; empty if nothing that can be read."""
    try:
        found = parse_json(_file(key).read_text(encoding="utf-8"))
        return [Lane(**{**fields, "key": Way(**fields["key"])}) for fields in found]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def remember(key: str, lanes: Sequence[Lane[Way]]) -> None:
    """Keep it for the next plan; a cache that can't be written is done without."""
    write_found(_file(key), [asdict(lane) for lane in lanes])


def _file(key: str) -> Path:
    return cache_folder() / "forward" / f"{key}.json"
