"""What each building block of the recipe adds, over several seeds.

Each row is a whole run of the command with one thing changed. The seed moves the split into
training and validation images, the order and the augmentation; the test images stay. What was
measured before on the same day stays in the result file, so that it can be done in parts.

    python benchmarks/ablation.py [--quick] [--data FOLDER] [--device cpu] [--seeds 3]
                                  [--only NAME ...]
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import (
    PHOTOS,
    machine_facts,
    parser,
    photos,
    print_table,
    result_path,
    summary,
    write_result,
)

FINETUNE = "--recipe finetune --image-size 160 -ep 3"
CLASSIC = "-ep 4 --image-size 112"
"""Small, so that many ways take an evening: it is the differences that count."""
LONG = "--recipe finetune --image-size 128 -ep 15"
"""Smaller still, for what is said to pay in long runs only."""
LIGHT = "--rotation 0 --color-jitter 0 --min-crop 0.8"
WAYS: dict[str, str] = {
    "recipe, 3 minutes": "--budget 3m",
    "features, 1 minute": "--recipe features --budget 1m",
    "features of two networks, 3 minutes": "--recipe features --budget 3m -mn efficientnet_lites",
    "features, the usual view": "--recipe features --tta off",
    "features, the whole frame": "--recipe features --tta whole",
    "features, mirrored too": "--recipe features --tta mirror",
    "features, the whole frame, mirrored too": "--recipe features --tta both",
    "features, for macro F1": "--recipe features --tta off --optimize macro-f1",
    "features, not calibrated": "--recipe features --tta off --calibrate False",
    "features at 224 pixels": "--recipe features --image-size 224",
    "features at 128 pixels (one view)": "--recipe features --image-size 128",
    "fine-tuning from the fitted head": FINETUNE,
    "the same without the mean of weights": f"{FINETUNE} --wise-ft 1",
    "the same with label smoothing": f"{FINETUNE} --label-smoothing 0.1",
    "the same at three times the rate": f"{FINETUNE} -lr 1e-4",
    "the same with TrivialAugment": f"{FINETUNE} --trivial-augment",
    "the same with rates by layer (0.9)": f"{FINETUNE} --layer-decay 0.9",
    "the same with rates by layer (0.75)": f"{FINETUNE} --layer-decay 0.75",
    "the same with rates by layer (0.9), three times the rate": f"{FINETUNE} --layer-decay 0.9 "
    "-lr 1e-4",
    "the same with gradual unfreezing": f"{FINETUNE} --gradual-unfreezing",
    "the same with growing images": f"{FINETUNE} --progressive-resizing",
    "the same with light augmentation": f"{FINETUNE} {LIGHT}",
    "long fine-tuning": LONG,
    "long, rates by layer (0.9)": f"{LONG} --layer-decay 0.9",
    "long, gradual unfreezing": f"{LONG} --gradual-unfreezing",
    "long, light augmentation": f"{LONG} {LIGHT}",
    "long, TrivialAugment": f"{LONG} --trivial-augment",
    "long, TrivialAugment and erasing": f"{LONG} --trivial-augment --erasing 0.25",
    "long, mixup": f"{LONG} --mixup 0.2",
    "classic": CLASSIC,
    "classic, growing images": f"{CLASSIC} --progressive-resizing",
    "classic, growing images, 6 epochs": "-ep 6 --image-size 112 --progressive-resizing",
    "classic, averaged weights": f"{CLASSIC} --ema 0.998",
    "classic, rate by the search": f"{CLASSIC} -lr auto",
    "classic, balanced classes": f"{CLASSIC} --balance 1",
    "classic, focal loss": f"{CLASSIC} --focal 2",
    "classic, logit-adjusted loss": f"{CLASSIC} --logit-adjustment 1",
    "classic, head at the rate of the rest": f"{CLASSIC} --head-rate 1",
    "classic, gradual unfreezing": f"{CLASSIC} --gradual-unfreezing",
    "classic, rates by layer (0.9)": f"{CLASSIC} --layer-decay 0.9",
    "classic, no decay of norms": f"{CLASSIC} --decay-norms False",
    "classic, judged at 144 pixels (FixRes)": f"{CLASSIC} --eval-size 144",
}


def one_run(words: str, data: Path, model: str, seed: int, device: str) -> dict[str, float]:
    """Figures on the test images, the accuracy on those that choices are made by, and seconds of
    the whole command."""
    with tempfile.TemporaryDirectory() as folder:
        named = [] if "-mn" in words.split() else ["-mn", model]
        line = [sys.executable, "-m", "lacewing", "train", "--data", str(data),
                "--seed", str(seed), "--device", device, "--output", folder, "--name", "run",
                *named, *words.split()]  # fmt: skip
        start = time.perf_counter()
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        splits = json.loads((Path(folder) / "run" / "results.json").read_text())["splits"]
    test = splits["test"]
    return {
        "accuracy": test["top1"],
        "val_accuracy": splits["val"]["top1"],
        "macro_f1": test["f1"],
        "loss": test["loss"],
        "calibration_error": test["calibration_error"],
        "seconds": seconds,
    }


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--data", type=photos, default=str(PHOTOS))
    flags.add_argument("--model", default="efficientnet_lite0")
    flags.add_argument("--device", default="cpu")
    flags.add_argument("--seeds", type=int, default=3)
    flags.add_argument("--only", nargs="*", choices=list(WAYS), default=list(WAYS))
    given = flags.parse_args()
    names = ["features at 128 pixels (one view)"] if given.quick else given.only
    seeds = 1 if given.quick else given.seeds
    facts = machine_facts(given.device)
    path = result_path("ablation", facts, given.results)
    found: dict[str, dict[str, Any]] = (
        json.loads(path.read_text())["ways"] if path.is_file() else {}
    )
    for name in names:
        runs = [
            one_run(WAYS[name], given.data, given.model, seed, given.device)
            for seed in range(seeds)
        ]
        figures = {key: summary([run[key] for run in runs]) for key in runs[0]}
        found[name] = {"flags": WAYS[name], **figures}
        write_result("ablation", facts, {"ways": found}, given.results)
        print(f"{name}: {figures['accuracy']['median']:.3f}", flush=True)
    columns = ("accuracy", "macro_f1", "loss", "calibration_error", "seconds")
    rows = [
        (name, *(f"{v[c]['median']:.3f} ({v[c]['low']:.3f}-{v[c]['high']:.3f})" for c in columns))
        for name, v in found.items()
    ]
    print_table(("way", *columns), rows)
    print(path)


if __name__ == "__main__":
    main()
