"""Optional packages, looked for before any work is done."""

from collections.abc import Sequence
from importlib.util import find_spec

from lacewing.errors import MissingExtraError


def require(packages: Sequence[str], extra: str, purpose: str) -> None:
    """Raise MissingExtraError for the first package that is not installed; imports none."""
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(package, extra, purpose)
