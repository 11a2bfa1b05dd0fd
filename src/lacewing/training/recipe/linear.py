"""The first stage: a head on frozen features, saved as a finished model."""

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from lacewing import console
from lacewing.data.chance import order
from lacewing.data.eval_loader import EvalLoader
from lacewing.data.index import ImageIndex
from lacewing.data.pixels import PixelStore
from lacewing.data.preprocess import Preprocessing
from lacewing.engine.heads import Head, write_head
from lacewing.hardware.machine import Machine
from lacewing.models.build import linear_head
from lacewing.planning.loaders import decoding_of
from lacewing.planning.rules.memory import pixel_bytes
from lacewing.store.run import append_line, read_json
from lacewing.training.bookkeeping import aimed_at, note_best, save_best
from lacewing.training.recipe.features import Features, feature_pass
from lacewing.training.recipe.head import Chosen, Limit, choose_head
from lacewing.training.recipe.size import views_for
from lacewing.training.session import Session, tell_lost
from lacewing.values import format_bytes

FIT_SHARE = 0.5
"""Of the time to the deadline, for fitting the head where fine-tuning is to follow."""
FIT_TO_PASS = 0.25
"""Times the feature pass's seconds that fitting may always take: deadlines are set for that."""
FLOAT_BYTES = 4
COPIES = 3
"""Of the training features, in RAM at once: as they are, standardised, and room to compute."""


@dataclass(frozen=True)
class Linear:
    """What the first stage found; the features themselves are not kept."""

    images: int
    """Training images that went through the network."""
    views: int
    """Of each of them."""
    val_images: int
    chosen: Chosen
    pass_seconds: float
    """Of the feature pass over both splits."""


def fit_linear(session: Session, deadline: float) -> Linear:
    """Fit, write down and save the head.

    The feature pass ends at the deadline at the latest, and the fit as `limit_of` says.
    """
    started = time.perf_counter()
    session.backend.reset_peak(session.device_index)
    views = views_for(len(session.index.split("train")), len(session.index.classes))
    ends = deadline_of_validation(session, views, deadline)
    val = collect(session, "val", 1, ends) if session.val_loader.images else None
    train = collect(session, "train", views, deadline)
    pass_seconds = time.perf_counter() - started
    limit = limit_of(session.config.recipe, deadline, pass_seconds)
    chosen = choose_head(train, val, len(session.index.classes), limit)
    if chosen.images < len(train.labels):
        fitted = f"the head is fitted to {chosen.images} of {len(train.labels)} training images"
        session.events.add("features", f"{fitted}: the time allowed no more")
    write_head(linear_head(session.model), chosen.head)
    row = row_of(session, train, val, chosen.head, pass_seconds)
    keep(session, row | seconds_of(time.perf_counter() - started))
    val_images = 0 if val is None else len(val.labels)
    return Linear(len(train.labels), views, val_images, chosen, pass_seconds)


def deadline_of_validation(session: Session, views: int, deadline: float) -> float:
    """When validation images, which come first, must be done: training images get their part."""
    if deadline == math.inf:
        return deadline
    train, val = (len(session.index.split(name)) for name in ("train", "val"))
    now = time.perf_counter()
    return now + (deadline - now) * val / (views * train + val)


def limit_of(recipe: str | None, deadline: float, pass_seconds: float) -> Limit:
    """How long the head may be fitted: until the deadline, and a part of that before fine-tuning.

    A pass that was late leaves it a part of its own time.
    """
    now = time.perf_counter()
    share = 1.0 if recipe == "features" else FIT_SHARE
    return Limit(now + max(share * (deadline - now), FIT_TO_PASS * pass_seconds))


def collect(session: Session, split: str, views: int, deadline: float) -> Features:
    """Features of a split, in a random order where a part may be all: any part is then fair."""
    rows = session.index.split(split)
    if split == "train" or deadline < math.inf:
        rows = rows.take(order(session.config.seed, 0, len(rows)))
    if split == "train":
        rows = within_memory(session, rows, views)
    with console.progress(f"features of the {split} images") as update:
        found = feature_pass(
            session.model,
            loader_of(session, rows, session.preprocessing, learnt=split == "train"),
            session.backend,
            session.plan.eval_execution,
            views,
            deadline,
            lambda done: update(done, len(rows)),
        )
    if len(found.labels) < len(rows):
        session.events.add(
            "features",
            f"the time allowed {len(found.labels)} of {len(rows)} {split} images",
        )
    return found


def within_memory(session: Session, rows: ImageIndex, views: int) -> ImageIndex:
    """The first of the rows, as many as have room for their features; it is said if not all have.

    That is where decoded images will lie, none of which is kept yet.
    """
    allowed = pixel_bytes(Machine.from_dict(read_json(session.run.machine)))
    numbers = views * linear_head(session.model).weight.shape[1]
    most = max(1, allowed // (COPIES * FLOAT_BYTES * numbers))
    if most >= len(rows):
        return rows
    session.events.add(
        "features",
        f"the memory ({format_bytes(allowed)}) allows {most} of {len(rows)} train images",
    )
    return rows.take(np.arange(most))


def loader_of(
    session: Session,
    rows: ImageIndex,
    preprocessing: Preprocessing,
    keep: str = "none",
    learnt: bool = False,
) -> EvalLoader:
    """Images in the given order; none is kept where each is used once.

    learnt: whether something is fitted to them.
    """
    store = PixelStore(
        rows,
        preprocessing,
        keep=keep,
        on_lost=lambda image: tell_lost(session.events, image),
    )
    device = session.backend.torch_device(session.device_index)
    return EvalLoader(
        rows,
        store,
        batch_size=session.plan.eval_batch.value,
        loading=decoding_of(session.plan, device),
        learnt=learnt,
    )


def row_of(
    session: Session, train: Features, val: Features | None, head: Head, pass_seconds: float
) -> dict[str, Any]:
    """The stage's row in metrics.jsonl: epoch 0, before any weight but the head's was moved."""
    row: dict[str, Any] = {"epoch": 0, "stage": "features", "step": 0,
                           "image_size": session.preprocessing.image_size}  # fmt: skip
    row |= judged("train", head(train.values[0]), train.labels)
    if val is None:
        row |= {"val_loss": None, "val_accuracy": None}
    else:
        logits = head(val.values[0])
        row |= judged("val", logits, val.labels) | aimed_at(session.config, logits, val.labels)
    images = train.values.shape[0] * train.values.shape[1]
    return row | {
        "images_per_second": images / pass_seconds,
        "val_seconds": 0.0,
        "wait_seconds": 0.0,
        "peak_bytes": session.backend.peak_bytes(session.device_index),
        "best": True,
        "micro_batch": session.plan.eval_batch.value,
    }


def seconds_of(seconds: float) -> dict[str, float]:
    """What the stage took, under the names of an epoch's times."""
    return {"train_seconds": seconds, "seconds": seconds}


def judged(split: str, logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Loss and accuracy on a split."""
    return {
        f"{split}_loss": float(cross_entropy(logits, labels)),
        f"{split}_accuracy": float((logits.argmax(1) == labels).float().mean()),
    }


def keep(session: Session, row: dict[str, Any]) -> None:
    """Write the row down and save the model as the best so far."""
    progress = session.progress
    if row["val_accuracy"] is not None:
        note_best(row, progress)
    progress.elapsed_seconds += row["seconds"]
    append_line(session.run.metrics, row)
    save_best(session)
    validation = "" if row["val_accuracy"] is None else f"val accuracy {row['val_accuracy']:6.1%}  "
    console.say(
        f"head on frozen features  accuracy {row['train_accuracy']:6.1%}  {validation}"
        f"{row['images_per_second']:.0f} images/s  {row['seconds']:.0f} s"
    )
