"""Out of memory in a step: free, halve the micro-batch, repeat the same images.

The batch of the step, and so the learning rate and the loss curve, stay what they were; only
the number of passes it takes grows. Augmentation is drawn per image and BatchNorm's
statistics are put back, so nothing of the failed attempt is left. Of several processes that
train together all do so, whichever ran out.
"""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from lacewing.data.chance import step_seed
from lacewing.engine.prepare import to_format
from lacewing.engine.rounds import PartnerFailedError
from lacewing.engine.step import StepResult, split_evenly, train_step
from lacewing.errors import TrainingError
from lacewing.planning.processes import passes
from lacewing.training.signals import StoppedError
from lacewing.training.together import together

if TYPE_CHECKING:
    from lacewing.data.batch import Batch
    from lacewing.training.session import Session
    from lacewing.training.signals import Stop


def recoverable_step(session: "Session", batch: "Batch", stop: "Stop") -> StepResult:
    """One optimiser step on a batch; raises TrainingError if a single image does not fit.

    A step of several passes is given up between two of them once `stop` is set: StoppedError,
    with the state as it was before the step.
    """
    session.norms.keep()
    while True:
        session.rounds.begin()
        ours = True
        try:
            return one_step(session, batch, stop)
        except StoppedError:
            session.optimizer.zero_grad(set_to_none=True)
            session.norms.put_back()
            raise
        except PartnerFailedError:
            ours = False
        except Exception as error:  # each backend has its own type: it tells which is meant
            if session.rounds.closed or not session.backend.is_out_of_memory(error):
                raise
        # Outside the except block: the traceback above held the step's tensors.
        if ours and not session.team.alone:
            session.rounds.give_up()
        shrink(session)
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
    images = to_format(batch.images, plan.memory_format.value)
    parts = passes(batch_size, ranks.world, progress.micro_batch)
    # a CUDA graph's gradients lie where its next pass writes: it serves steps of one pass
    graphs = plan.compile.value == "reduce-overhead"
    return train_step(
        session.model if graphs and parts > 1 else session.forward,
        session.optimizer,
        session.scaler,
        session.loss,
        split_evenly(images, batch.labels, parts),
        autocast=autocast,
        clip_norm=config.clip_norm,
        together=together(session),
    )


def shrink(session: "Session") -> None:
    """Halve the micro-batch and give the memory back."""
    progress = session.progress
    session.optimizer.zero_grad(set_to_none=True)
    session.backend.empty_cache()
    old, new = progress.micro_batch, progress.micro_batch // 2
    if new == 0:
        device = session.plan.device.value
        last = "or close other programs" if device == "cpu" else "or --device cpu"
        raise TrainingError(
            f"{device} has too little memory for a single image of "
            f"{session.plan.image_size.value} pixels: use a smaller --image-size or --model, "
            f"{last}."
        )
    progress.micro_batch = new
    session.events.add(
        "out-of-memory",
        f"out of memory at step {progress.step}: micro-batch {old} -> {new}, same images per step",
        step=progress.step,
        field="micro_batch",
        old=old,
        new=new,
    )
