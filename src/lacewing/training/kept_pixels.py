"""Decoded images in the device's memory: given up where it runs out, before anything else is.

The same pixels come from RAM then, or from wherever the rules keep them. The plan stays: a resumed
run tries again, as there may be more room by then.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from lacewing.data.batch import Batch
from lacewing.data.pixels import kept_bytes
from lacewing.hardware.machine import Machine
from lacewing.planning.rules.memory import choose_pixels
from lacewing.store.run import read_json
from lacewing.training.setup import room_on_disk
from lacewing.values import Choice

if TYPE_CHECKING:
    from lacewing.training.session import Session


def loaded(session: "Session", epoch: int, start_step: int = 0) -> Iterator[Batch]:
    """An epoch's batches, for which pixels on the device are given up if its memory runs out."""
    loader, step = session.train_loader, start_step
    while True:
        try:
            with contextlib.closing(loader.epoch(epoch, step)) as batches:
                for batch in batches:
                    step += 1
                    yield batch
            return
        except Exception as error:
            if not (loader.is_on_device and session.backend.is_out_of_memory(error)):
                raise
        # outside the except block: the traceback above held the batch's tensors
        give_up_pixels(session, f"in loading the images of step {session.progress.step}")


def give_up_pixels(session: "Session", when: str) -> None:
    """Keep training's decoded images elsewhere than in the device's memory, and say so."""
    place = place_beside_device(session, session.plan.image_size.value)
    session.train_loader.keep_pixels(place.value)
    session.backend.empty_cache()
    session.events.add(
        "out-of-memory",
        f"out of memory {when}: decoded images device -> {place.value} ({place.reason})",
        step=session.progress.step,
        field="pixels",
        old="device",
        new=place.value,
        reason=place.reason,
    )


def place_beside_device(session: "Session", size: int) -> Choice[str]:
    """Where decoded images are kept, at training's size and at that of validation."""
    machine = Machine.from_dict(read_json(session.run.machine))
    rule, index = session.preprocessing, session.index
    training = kept_bytes(index.split("train"), replace(rule, image_size=size).resize_size)
    validation = kept_bytes(index.split("val"), rule.resize_size)
    return choose_pixels(training + validation, room_on_disk(), machine)
