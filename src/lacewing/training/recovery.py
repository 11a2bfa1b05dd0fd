"""Out of memory in a step: free, halve the micro-batch, repeat the same images.

Decoded images that lie in the device's memory are given up first, and passes stay as large. The
batch of the step, and so the learning rate and the loss curve, stay what they were; only
the number of passes it takes grows. Augmentation is drawn per image and BatchNorm's
statistics are put back, so nothing of the failed attempt is left. Of several processes that
train together all do so, whichever ran out.

An update that ran out may have changed some of the weights: a repeat would change them twice. So
the step says that it was torn, and who asked for it goes back to a snapshot, from which all steps
are repeated in smaller passes: the loop to its newest one, see `training/rollback.py`.
"""

from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from lacewing.data.chance import step_seed
from lacewing.engine.execution import GRAPH_MODES
from lacewing.engine.norms import is_batchnorm
from lacewing.engine.prepare import to_format
from lacewing.engine.rounds import PartnerFailedError
from lacewing.engine.step import StepResult, split_evenly, train_step
from lacewing.errors import TrainingError
from lacewing.models.sizes import sees_one_value
from lacewing.planning.processes import passes
from lacewing.planning.trial.fitting import held_bytes, no_room
from lacewing.training.kept_pixels import give_up_pixels
from lacewing.training.signals import StoppedError
from lacewing.training.together import goes_on, together
from lacewing.values import format_bytes

if TYPE_CHECKING:
    from lacewing.data.batch import Batch
    from lacewing.training.session import Session
    from lacewing.training.signals import Stop


def recoverable_step(session: "Session", batch: "Batch", stop: "Stop") -> StepResult | None:
    """One optimiser step on a batch; None if it was torn: weights may be old or new, each of them.

    Raises TrainingError if a single image does not fit. A step of several passes is given up
    between two of them once `stop` is set: StoppedError, with the state as it was before the step.
    Of a step that overflows, whose update a loss scaler skips, BatchNorm's statistics are put back.
    """
    session.norms.keep()
    while True:
        session.rounds.begin()
        ours = True
        try:
            result = one_step(session, batch, stop)
            if result.scaled:
                session.norms.put_back_unless(result.loss.isfinite())
            return result
        except StoppedError:
            session.optimizer.zero_grad(set_to_none=True)
            session.norms.put_back()
            raise
        except PartnerFailedError:
            ours = False
        except Exception as error:  # each backend has its own type: it tells which is meant
            if sees_one_value(error):
                raise TrainingError(one_image_only(session)) from None
            if not session.backend.is_out_of_memory(error):
                raise
        # Outside the except block: the traceback above held the step's tensors.
        if session.rounds.over:
            return None
        if session.rounds.closed:
            raise TrainingError(lost_in_sum(session))
        if ours and not session.team.alone:
            session.rounds.give_up()
        make_room(session, f"at step {session.progress.step}")
        session.norms.put_back()


def one_step(session: "Session", batch: "Batch", stop: "Stop") -> StepResult:
    """The step function of trial and training, on this batch's micro-batches."""
    progress, config, plan = session.progress, session.config, session.plan

    def autocast() -> AbstractContextManager[Any]:
        stop.check()
        return session.backend.autocast(plan.precision.value)

    ranks, batch_size = session.team.ranks, session.train_loader.batch_size
    # each process drops other units; the first one as if it were alone
    session.backend.seed(step_seed(config.seed + ranks.rank, progress.step))
    parts = passes(batch_size, ranks.world, progress.micro_batch)
    graphs = plan.compile.value in GRAPH_MODES
    return train_step(
        session.model if graphs and parts > 1 else session.forward,
        session.optimizer,
        session.scaler,
        session.loss,
        split_evenly(batch.images, batch.labels, parts),
        autocast=autocast,
        clip_norm=config.clip_norm,
        together=together(session),
        ready=partial(to_format, memory_format=plan.memory_format.value),
    )


def make_room(session: "Session", when: str, *, in_update: bool = False) -> None:
    """Give memory back: first that of decoded images on the device, then by smaller passes.

    Raises TrainingError where passes are as small as they may be: so it can't be called for ever.
    Of several processes the others have smaller passes too.
    """
    session.optimizer.zero_grad(set_to_none=True)
    let_go_of_graphs(session)
    if session.team.alone and session.train_loader.is_on_device:
        give_up_pixels(session, when)
        return
    session.backend.empty_cache()
    shrink(session, when, in_update)


def shrink(session: "Session", when: str, in_update: bool) -> None:
    """Halve the micro-batch. Raises TrainingError below one image.

    For an update also where BatchNorm might refuse the passes: it is not images that lack room.
    """
    progress = session.progress
    old, new = progress.micro_batch, progress.micro_batch // 2
    refused = in_update and new == 1 and any(map(is_batchnorm, session.model.modules()))
    if new == 0 or refused:
        raise TrainingError(shortage(session, in_update))
    progress.micro_batch = new
    session.events.add(
        "out-of-memory",
        f"out of memory {when}: micro-batch {old} -> {new}, same images per step",
        step=progress.step,
        field="micro_batch",
        old=old,
        new=new,
    )


def let_go_of_graphs(session: "Session") -> None:
    """Passes to come are run without CUDA graphs, whose memory goes with them alone."""
    if session.plan.compile.value in GRAPH_MODES:
        session.forward = session.model
        torch.compiler.reset()


def shortage(session: "Session", in_update: bool) -> str:
    """The sentence for a step that does not fit in passes of one image: what lacks, what helps.

    Where weights and optimiser fill the memory, smaller images would not help.
    """
    plan, allowed = session.plan, session.plan.memory_bytes.value
    held = held_bytes(session.info)
    if in_update:
        free = session.backend.memory(session.device_index).free_bytes
        return no_room(session.info, plan, session.config.optimizer, free)
    peak = session.backend.peak_bytes(session.device_index)
    figures = [f"weights, gradients and the optimiser's state take up to {format_bytes(held)}"]
    figures += [f"{format_bytes(peak)} were taken when it ran out"] if peak else []
    figures += [f"{format_bytes(allowed)} are allowed"] if allowed else []
    mostly_weights = allowed is not None and 2 * held > allowed
    helps = "--model, --optimizer sgd" if mostly_weights else "--image-size or --model"
    is_capped = plan.device.value != "cpu" and plan.memory_share.value < 1
    return (
        f"{plan.device.value} has too little memory for a single image of "
        f"{session.train_loader.side(session.progress.epoch)} pixels ({', '.join(figures)}): use a "
        f"smaller {helps}, {'a larger --memory-share, ' if is_capped else ''}or "
        f"{last_resort(session)}."
    )


def lost_in_sum(session: "Session") -> str:
    """The sentence for gradients that the other processes wait for and can't get."""
    return (
        f"The memory of {session.plan.device.value} ran out at step {session.progress.step} while "
        "the gradients of all processes were being summed, which none can repeat alone: close "
        f"other programs, then {goes_on(session)}. If it happens again, a smaller --model takes "
        "less."
    )


def one_image_only(session: "Session") -> str:
    """The sentence for passes of one image, of which a BatchNorm can make no statistics."""
    return (
        f"{session.info.name} can't be trained on one image of "
        f"{session.train_loader.side(session.progress.epoch)} pixels at a time, of which its "
        f"BatchNorm would see a single value of each channel, and {session.plan.device.value} has "
        f"no memory for more: use a smaller --model, --freeze-norms True, or "
        f"{last_resort(session)}."
    )


def last_resort(session: "Session") -> str:
    """What helps where nothing else does."""
    return "close other programs" if session.plan.device.value == "cpu" else "--device cpu"
