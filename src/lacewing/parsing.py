"""YAML and JSON that anybody may have written, as plain values; ValueError for all else."""

import json
from typing import Any

import yaml

MOST_CHARACTERS = 2**22
"""Of a YAML text; a plan with everything that was measured has a few ten thousand."""
MOST_VALUES = 10**6
"""In a YAML text, once every alias is written out: nine lines can stand for billions."""


def parse_yaml(text: str) -> Any:
    """What a YAML text says. Raises ValueError, whose text completes "the file is ..."."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"too long: it has {len(text):,} characters")
    try:
        value = yaml.safe_load(text)
        count_values(value, {})
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ValueError(f"not valid YAML{where}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except TooManyValuesError as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # a tag on an odd value (`!!int ""`) raises whatever it leads to
        raise ValueError(f"not valid YAML ({type(error).__name__}: {error})") from None
    return value


class TooManyValuesError(Exception):
    """A value that stands for far more than its text."""


def count_values(value: Any, known: dict[int, int]) -> int:
    """How many values there are in one, each counted as often as it stands there.

    `known` holds the counts of lists and tables by identity, 0 while they are counted.
    Raises TooManyValuesError, also for a list that holds itself.
    """
    if not isinstance(value, dict | list | tuple | set):
        return 1
    if id(value) not in known:
        known[id(value)] = 0
        within = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(count_values(inner, known) for inner in within)
    count = known[id(value)]
    if count == 0:
        raise TooManyValuesError("not valid YAML: a value holds itself")
    if count > MOST_VALUES:
        raise TooManyValuesError(f"too long: its aliases stand for {count:,} values")
    return count


def parse_json(text: str | bytes) -> Any:
    """What a JSON text says. Raises ValueError."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
