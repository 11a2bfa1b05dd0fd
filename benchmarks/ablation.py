"""What each building block of the recipe adds, over several seeds.

Each row is a whole run of the command with one thing changed. The seed moves the split into
training and validation images, the order and the augmentation; the test images stay.

    python benchmarks/ablation.py [--quick] [--data FOLDER] [--seeds 3] [--only NAME ...]
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import machine_facts, parser, print_table, summary, write_result

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "agri_pests12"
WAYS: dict[str, str] = {
    "recipe, 3 minutes": "--budget 3m",
    "recipe, 3 minutes, for macro F1": "--budget 3m --optimize macro-f1",
    "features, 1 minute": "--recipe features --budget 1m",
    "features of two networks, 3 minutes": "--recipe features --budget 3m -mn efficientnet_lites",
    "features, the usual view": "--recipe features --tta off",
    "features, the whole frame": "--recipe features --tta whole",
    "features, mirrored too": "--recipe features --tta mirror",
    "features, the whole frame, mirrored too": "--recipe features --tta both",
    "features at 224 pixels": "--recipe features --image-size 224",
    "features at 128 pixels (one view)": "--recipe features --image-size 128",
    "fine-tuning from the fitted head, 3 epochs": "--recipe finetune -ep 3",
    "the same with label smoothing": "--recipe finetune -ep 3 --label-smoothing 0.1",
    "the same at three times the rate": "--recipe finetune -ep 3 -lr 1e-4",
    "the same with TrivialAugment": "--recipe finetune -ep 3 --trivial-augment",
    "the same with growing images": "--recipe finetune -ep 3 --progressive-resizing",
    "classic, 5 epochs": "-ep 5",
    "classic, growing images": "-ep 5 --progressive-resizing",
    "classic, growing images, 7 epochs": "-ep 7 --progressive-resizing",
    "classic, averaged weights": "-ep 5 --ema 0.998",
    "classic, rate by the search": "-ep 5 -lr auto",
    "classic, balanced classes": "-ep 5 --balance 1",
    "classic, focal loss": "-ep 5 --focal 2",
    "classic, logit-adjusted loss": "-ep 5 --logit-adjustment 1",
    "classic, head at the rate of the rest": "-ep 5 --head-rate 1",
    "classic, no decay of norms": "-ep 5 --decay-norms False",
    "classic, judged at 160 pixels (FixRes)": "-ep 5 --eval-size 160",
}


def one_run(words: str, data: Path, model: str, seed: int) -> dict[str, float]:
    """Figures on the test images, and seconds of the whole command."""
    with tempfile.TemporaryDirectory() as folder:
        named = [] if "-mn" in words.split() else ["-mn", model]
        line = [sys.executable, "-m", "lacewing", "train", "--data", str(data),
                "--seed", str(seed), "--output", folder, "--name", "run",
                *named, *words.split()]  # fmt: skip
        start = time.perf_counter()
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        splits = json.loads((Path(folder) / "run" / "results.json").read_text())["splits"]
    test = splits["test"]
    return {
        "accuracy": test["top1"],
        "macro_f1": test["f1"],
        "loss": test["loss"],
        "calibration_error": test["calibration_error"],
        "seconds": seconds,
    }


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--data", type=Path, default=DATA)
    flags.add_argument("--model", default="efficientnet_lite0")
    flags.add_argument("--seeds", type=int, default=3)
    flags.add_argument("--only", nargs="*", choices=list(WAYS), default=list(WAYS))
    given = flags.parse_args()
    names = ["features at 128 pixels (one view)"] if given.quick else given.only
    seeds = 1 if given.quick else given.seeds
    facts = machine_facts()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in names:
        runs = [one_run(WAYS[name], given.data, given.model, seed) for seed in range(seeds)]
        found[name] = {key: summary([run[key] for run in runs]) for key in runs[0]}
        middle = found[name]
        print(f"{name}: {middle['accuracy']['median']:.3f}", flush=True)
    columns = ("accuracy", "macro_f1", "loss", "calibration_error", "seconds")
    rows = [
        (name, *(f"{v[c]['median']:.3f} ({v[c]['low']:.3f}-{v[c]['high']:.3f})" for c in columns))
        for name, v in found.items()
    ]
    print_table(("way", *columns), rows)
    print(write_result("ablation", facts, {"seeds": seeds, "ways": found}, given.results))


if __name__ == "__main__":
    main()
