"""What stands for a trained model on the command line, looked at before PyTorch is loaded."""

from pathlib import Path

from lacewing.errors import RunError

HUB = "hub:"


def check_place(place: Path) -> None:
    """Raise RunError where a place is neither there nor on the hub."""
    if not place.as_posix().startswith(HUB) and not place.exists():
        raise RunError(f"There is no run folder or model file {place}.")
