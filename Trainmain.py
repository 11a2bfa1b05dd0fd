"""The classic command line: `python Trainmain.py -data IP102 -mn resnet -ep 50 ...`.

It takes the flags of `lacewing train`, and works in a fresh clone where only the packages that
lacewing needs are installed.
"""

import importlib.util
import sys
from pathlib import Path


def classic_main(arguments: list[str]) -> int:
    """Run `lacewing train` with these arguments; returns the exit code."""
    if importlib.util.find_spec("lacewing") is None:
        sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))
    try:
        from lacewing.cli import main
    except ModuleNotFoundError as error:
        here = Path(__file__).resolve().parent
        sys.exit(f"error: the package {error.name} is missing: run `pip install {here}` first.")
    return main(["train", *arguments])


if __name__ == "__main__":
    sys.exit(classic_main(sys.argv[1:]))
