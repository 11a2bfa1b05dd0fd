"""Addresses of shards: braces, names, and what of them may be shown."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from urllib.parse import SplitResult, urlsplit

from lacewing.data.listing import SPLIT_WORDS
from lacewing.errors import DataError

ADDRESS = re.compile(r"https?://", re.IGNORECASE)
NUMBERS = re.compile(r"(\d+)\.\.(\d+)")
MAX_SHARDS = 100_000
WORDS = re.compile(r"[^a-z]+")


def is_address(data: str) -> bool:
    """Whether the words after `--data` are an address on a server."""
    return ADDRESS.match(data.strip()) is not None


def shards_at(address: str) -> list[str]:
    """The addresses that one with braces stands for. Raises DataError if they are no shards'."""
    urls = expanded(address.strip())
    for url in urls:
        parts = taken_apart(url)
        if parts is None or not parts.path.lower().endswith(".tar"):
            raise DataError(
                f"{shown(url)} is no tar shard: a data set on a server must be addresses that end "
                "in .tar, like https://host/pests-train-{000..011}.tar; all else is to be copied "
                "here first."
            )
        if parts.username is not None:
            raise DataError(
                "A password in an address would be written down with the run: put it into "
                "~/.netrc, and leave it out of --data."
            )
    if not urls:
        raise DataError(f"{shown(address)} stands for no shard: numbers in braces must rise.")
    return urls


def taken_apart(url: str) -> SplitResult | None:
    """The parts of an address; None if it is none."""
    try:
        parts = urlsplit(url)
        labels = (parts.hostname or "").split(".")
        parts.port  # noqa: B018 (raises ValueError for what is no number)
    except ValueError:
        return None
    # what no resolver takes, and its libraries answer with errors of their own
    return parts if all(0 < len(label) < 64 for label in labels) else None


def shown(url: str) -> str:
    """An address without password and signature, as it may be told and written down."""
    plain = url.partition("?")[0].partition("#")[0]
    return re.sub(r"(https?://)[^/]*@", r"\1", plain, flags=re.IGNORECASE)


def expanded(pattern: str) -> list[str]:
    """`a-{train-{0..1},val-0}.tar` as the three names it stands for. Raises DataError."""
    found = braces(pattern)
    if found is None:
        return [pattern]
    start, end = found
    rests = expanded(pattern[end + 1 :])
    choices = [
        one
        for choice in alternatives(pattern[start + 1 : end])
        for one in expanded(choice)
    ]  # fmt: skip
    if len(choices) * len(rests) > MAX_SHARDS:
        raise too_many(pattern)
    return [pattern[:start] + choice + rest for choice in choices for rest in rests]


def too_many(pattern: str) -> DataError:
    """The error of a pattern that nobody means."""
    return DataError(f"{shown(pattern)} stands for more than {MAX_SHARDS:,} shards: name fewer.")


def braces(pattern: str) -> tuple[int, int] | None:
    """Where the first braces open and close; None if there are none."""
    depth, start = 0, -1
    for place, sign in enumerate(pattern):
        if sign == "{":
            start = place if depth == 0 else start
            depth += 1
        elif sign == "}" and depth:
            depth -= 1
            if depth == 0:
                return start, place
    return None


def alternatives(inside: str) -> Iterator[str]:
    """What stands between braces: numbers from one to another, or texts between commas."""
    numbers = NUMBERS.fullmatch(inside)
    if numbers is not None:
        first, last = int(numbers[1]), int(numbers[2])
        if last - first >= MAX_SHARDS:
            raise too_many(f"{{{inside}}}")
        yield from (f"{number:0{len(numbers[1])}}" for number in range(first, last + 1))
        return
    depth, begun = 0, 0
    for place, sign in enumerate(inside):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            yield inside[begun:place]
            begun = place + 1
    yield inside[begun:]


def file_names(urls: Sequence[str]) -> list[str]:
    """A name for each shard that says its split as the address does, each its own."""
    names = [own_name(urlsplit(url).path) for url in urls]
    counts = Counter(names)
    return [
        name if counts[name] == 1 else f"{number:05d}-{name}" for number, name in enumerate(names)
    ]


def own_name(path: str) -> str:
    """`/pests/val/0003.tar` -> `val-0003.tar`; a file that says its split is called by that."""
    folder, _, file = path.strip("/").rpartition("/")
    stem = re.sub(r"[^\w.-]+", "-", file[: -len(".tar")])
    parent = folder.rpartition("/")[2]
    if names_split(parent) and not names_split(stem):
        stem = f"{parent}-{stem}"
    return f"{stem}.tar"


def names_split(text: str) -> bool:
    """Whether a split's name is among the words."""
    return any(word in SPLIT_WORDS for word in WORDS.split(text.lower()))


def remote_name(address: str) -> str:
    """What to call a data set by its address: `.../pests-{train,val}-{00..11}.tar` -> `pests`."""
    last = shown(address.strip()).partition("{")[0].rpartition("/")[2]
    return re.sub(r"[^\w.-]+|[-_.]+$", "", last.removesuffix(".tar")) or "data"
