"""--budget: the time asked for and the time used, from the command's start to its end.

python benchmarks/budget.py [--quick] [--data FOLDER] [--device cpu]
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import PHOTOS, machine_facts, parser, photos, print_table, write_result


def one_run(data: Path, model: str, seconds: int, device: str) -> dict[str, float | int | str]:
    """What a run with so many seconds used, and what it reached."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "lacewing", "train", "--data", str(data), "--model", model,
                 "--budget", f"{seconds}s", "--device", device, "--output", folder, "--name",
                 "run"]  # fmt: skip
        start = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        used = time.perf_counter() - start
        results = json.loads((Path(folder) / "run" / "results.json").read_text())
    return {
        "asked_seconds": seconds,
        "used_seconds": used,
        "share": used / seconds,
        "accuracy": results["splits"]["test"]["top1"],
        "ending": results["training"]["ending"],
    }


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--data", type=photos, default=str(PHOTOS))
    flags.add_argument("--model", default="efficientnet_lite0")
    flags.add_argument("--device", default="cpu")
    given = flags.parse_args()
    facts = machine_facts(given.device)
    runs = [
        one_run(given.data, given.model, seconds, given.device)
        for seconds in ((45,) if given.quick else (60, 180, 600))
    ]
    rows = [list(run.values()) for run in runs]
    print_table(("asked s", "used s", "share", "test accuracy", "ending"), rows)
    print(write_result("budget", facts, {"model": given.model, "runs": runs}, given.results))


if __name__ == "__main__":
    main()
