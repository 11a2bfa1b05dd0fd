"""progress.json: where the running epoch stands, for `lacewing watch`."""

import contextlib
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lacewing.training.session import Session


def show_watchers(session: "Session", words: str) -> None:
    """Replace progress.json; called as often as the live line is renewed.

    It is not flushed to the disk, and a disk that refuses costs nothing: nobody needs it later.
    """
    progress, file = session.progress, session.run.progress
    record = {
        "epoch": progress.epoch + 1,
        "step": progress.step_in_epoch,
        "steps": session.train_loader.steps_per_epoch,
        "words": words,
    }
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with contextlib.suppress(OSError):
        temporary.write_text(json.dumps(record), encoding="utf-8")
        temporary.replace(file)
