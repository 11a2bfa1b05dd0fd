"""What a head on frozen features reaches, by network, image size and views: 5-fold figures.

Only the training photos are used: each fold's head is fitted to four fifths and judged on the
rest, so the choices that the recipe builds on owe nothing to the test images. The interval is
the normal one of a share. The strength of L2 is the one with the least loss over the folds.

    python benchmarks/features.py [--quick] [--data FOLDER] [--ways NETWORK:SIZE ...]
"""

import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from common import PHOTOS, machine_facts, parser, photos, print_table, write_result
from lacewing.data.batch import Loading
from lacewing.data.eval_loader import EvalLoader
from lacewing.data.index import ImageIndex
from lacewing.data.open import open_images
from lacewing.data.pixels import PixelStore
from lacewing.engine.execution import Execution
from lacewing.engine.heads import fit_path
from lacewing.hardware.backends import backend_for
from lacewing.hardware.limits import usable_cores
from lacewing.models.build import build_model, preprocessing_for
from lacewing.models.catalog import find_model
from lacewing.models.weights import fetch_weights
from lacewing.training.recipe.features import Features, feature_pass
from lacewing.training.recipe.head import FOLDS, fold_of

STRENGTHS = (0.3, 0.1, 0.03, 0.01)
WAYS = (
    "efficientnet_lite0:224",
    "efficientnet_lite0:256",
    "efficientnet_lite0:320",
    "tf_efficientnet_lite2:288",
    "efficientnet_lites:256",
    "efficientnet_lites:288",
)


def images_of(data: Path) -> ImageIndex:
    """The training photos."""
    return open_images(str(data), val_share=0.01, test_share=0.01).split("train")


def features_of(images: ImageIndex, network: str, size: int) -> tuple[Features, float]:
    """As they are and mirrored, and the images per second of the pass, decoding included."""
    info, cores = find_model(network), usable_cores().value
    weights = fetch_weights(info)
    model: nn.Module = build_model(info, len(images.classes), 0.0, weights, size)
    model = model.to(memory_format=torch.channels_last)
    backend, _ = backend_for("cpu")
    execution = Execution(device="cpu", precision="bf16", memory_format="channels_last")
    backend.configure("bf16", cores, deterministic=False)
    store = PixelStore(images, preprocessing_for(info, size, weights), keep="none")
    cpu = torch.device("cpu")
    loading = Loading(device=cpu, augment_device=cpu, workers=1)
    start = time.perf_counter()
    batches = EvalLoader(images, store, batch_size=16, loading=loading)
    found = feature_pass(model, batches, backend, execution, 2, float("inf"))
    return found, 2 * len(images) / (time.perf_counter() - start)


def judged(features: Features, views: int, classes: int) -> dict[str, float]:
    """Accuracy and loss over the folds at the best strength; all views are fitted and judged."""
    fold, seen = fold_of(features.labels), features.values[:views]
    logits = torch.zeros(len(STRENGTHS), len(features.labels), classes)
    for number in range(FOLDS):
        out = fold == number
        kept = Features(seen[:, ~out], features.labels[~out])
        heads = fit_path(kept.rows, kept.row_labels, classes, STRENGTHS)
        for place, head in enumerate(heads):
            logits[place, out] = torch.stack([head(view) for view in seen[:, out]]).mean(0)
    losses = [float(cross_entropy(one, features.labels)) for one in logits]
    best = losses.index(min(losses))
    return {"strength": STRENGTHS[best], "loss": losses[best]} | share(
        logits[best].argmax(1) == features.labels
    )


def share(right: Tensor) -> dict[str, float]:
    """Accuracy and half of its 95 % interval."""
    accuracy = float(right.float().mean())
    return {
        "accuracy": accuracy,
        "within": 1.96 * math.sqrt(accuracy * (1 - accuracy) / len(right)),
    }


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--data", type=photos, default=str(PHOTOS))
    flags.add_argument("--ways", nargs="*", default=list(WAYS))
    given = flags.parse_args()
    facts = machine_facts()
    images = images_of(given.data)
    rows, found = [], {}
    for way in ["efficientnet_lite0:64"] if given.quick else given.ways:
        network, size = way.split(":")
        features, speed = features_of(images, network, int(size))
        for views in (1, 2):
            figures = judged(features, views, len(images.classes)) | {"images_per_second": speed}
            found[f"{way}, {views} views"] = figures
            accuracy = f"{figures['accuracy']:.3f} +- {figures['within']:.3f}"
            rows.append((way, views, accuracy, figures["loss"], figures["strength"], speed))
            print(rows[-1], flush=True)
    print_table(("way", "views", "accuracy", "loss", "L2", "images/s"), rows)
    print(write_result("features", facts, {"images": len(images), "ways": found}, given.results))


if __name__ == "__main__":
    main()
