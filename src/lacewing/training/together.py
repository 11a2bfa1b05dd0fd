"""One step, one validation and one decision of several processes."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lacewing.data.batch import Batch
from lacewing.engine.inference import loaded_in_halves, predict_logits
from lacewing.engine.norms import SyncedNorm, is_batchnorm
from lacewing.engine.step import StepResult, Together
from lacewing.errors import TrainingError
from lacewing.hardware.backends import is_exhausted
from lacewing.training.distributed import Team
from lacewing.training.kept_pixels import give_up_pixels
from lacewing.training.signals import SIGNALS, Stop

if TYPE_CHECKING:
    from lacewing.training.session import Session


@dataclass(frozen=True)
class Due:
    """What is to be done after a step, or a batch; the same in all processes."""

    show: bool = False
    save: bool = False
    late: bool = False
    """The run's time is used up."""
    torn: bool = False
    """The step is to be undone: in one process it was torn."""
    more: bool = False
    """Another batch of validation."""


def agree(team: Team, stop: Stop, due: Due) -> Due:
    """What any process wants is done by all of them; a signal that one heard stops all."""
    if team.alone:
        return due
    heard = 0 if stop.heard is None else 1 + [s.name for s in SIGNALS].index(stop.heard)
    *wanted, signal = team.most(*map(int, astuple(due)), heard)
    if signal:
        stop.asked_by = SIGNALS[signal - 1].name
    return Due(*map(bool, wanted))


def together(session: "Session") -> Together:
    """What makes this process's steps one with the others', if there are any."""
    return Together(session.train_loader.batch_size, lambda result: combine(session, result))


def combine(session: "Session", result: StepResult) -> StepResult:
    """The step's result and gradients over all processes, once everyone has theirs.

    The running statistics of BatchNorms that see one process's images only become the mean of
    everyone's, so that the network is the same everywhere. From here on weights may change.
    """
    session.rounds.close()
    if not session.team.alone:
        result = added_up(session, result)
    session.rounds.over = True
    return result


def added_up(session: "Session", result: StepResult) -> StepResult:
    """The sums of all processes' results, with those of the gradients in their place."""
    sums = torch.stack([result.loss, result.correct.float()])
    weights = (w for group in session.optimizer.param_groups for w in group["params"])
    statistics = own_statistics(session.model)
    for buffer in statistics:
        buffer.div_(session.team.ranks.world)
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    session.team.add_up([sums, *gradients, *statistics])
    return replace(result, loss=sums[0], correct=sums[1].long())


def own_statistics(model: nn.Module) -> list[Tensor]:
    """The running statistics that a pass over one process's images has moved."""
    norms = [
        module
        for module in model.modules()
        if is_batchnorm(module) and module.training and not isinstance(module, SyncedNorm)
    ]
    return [
        buffer
        for norm in norms
        for buffer in (norm.running_mean, norm.running_var)
        if isinstance(buffer, Tensor)
    ]


def predicted(session: "Session", stop: Stop) -> tuple[Tensor, Tensor] | None:
    """Logits and labels of the whole validation split at rank 0, by row; None elsewhere.

    Every image counts once: the parts of the processes differ by one image at most, and none
    is repeated to fill them up. A pass that exhausts the memory is halved by `predict_logits`, and
    batches where loading them does.
    Raises StoppedError in all processes at a signal to one, TrainingError where one image does not
    fit.
    """
    while True:
        try:
            return gathered(session.team, *own_logits(session, stop))
        except Exception as error:
            if not is_exhausted(session.backend, error):
                raise
        # outside the except block: the traceback above held the pass's tensors
        make_room(session)


def own_logits(session: "Session", stop: Stop) -> tuple[Tensor, Tensor]:
    """Logits and labels of this process's part of the validation split."""
    team, backend, loader = session.team, session.backend, session.val_loader
    before = loader.batch_size
    own = loaded_in_halves(loader, backend)
    batches = stop.checked(own) if team.alone else in_step(team, own, stop)
    found = predict_logits(session.model, batches, backend, session.plan.eval_execution)
    loader.batch_size = -team.most(-loader.batch_size)[0]  # the least of all processes
    if loader.batch_size < before:
        tell_halved(session, before)
    return found


def tell_halved(session: "Session", old: int) -> None:
    """Say that validation has smaller batches from now on."""
    new = session.val_loader.batch_size
    session.events.add(
        "out-of-memory",
        f"out of memory in validation: batches of {old} -> {new} images",
        step=session.progress.step,
        field="eval_batch",
        old=old,
        new=new,
    )


def make_room(session: "Session") -> None:
    """For validation, of which a single image did not fit: give up images on the device.

    Raises TrainingError where none lies there, or where the processes are several, which would
    have to begin again together.
    """
    session.backend.empty_cache()
    size = session.val_loader.batch_size
    if not session.team.alone or not session.train_loader.is_on_device:
        raise TrainingError(
            f"The memory of {session.plan.device.value} ran out in validation, in batches of "
            f"{size} images: close other programs, then {goes_on(session)}. A smaller --image-size "
            "or --model takes less."
        )
    give_up_pixels(session, "in validation")
    session.val_loader.batch_size = session.plan.eval_batch.value


def goes_on(session: "Session") -> str:
    """How to go on after a run has ended, a clause."""
    if not session.config.save_checkpoints:
        return "begin anew"
    return f"`lacewing resume {session.run.folder}` goes on from the last checkpoint"


def gathered(team: Team, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor] | None:
    """Everyone's rows, in the order of the split, at rank 0."""
    if team.alone:
        return logits, labels
    parts = [part for part in team.gather((logits, labels)) if len(part[1])]
    if not parts:
        return None
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def in_step(team: Team, batches: Iterator[Batch], stop: Stop) -> Iterator[Batch]:
    """This process's batches; after each all processes agree whether to go on.

    Until none has more: where loading has exhausted a memory, there they are smaller and more.
    """
    more = True
    while more:
        batch = next(batches, None)
        if batch is not None:
            yield batch
        more = agree(team, stop, Due(more=batch is not None)).more
        stop.check()


def share_weights(session: "Session") -> None:
    """Every process's network becomes what rank 0's is."""
    if not session.team.alone:
        state: dict[str, Any] = session.team.first(
            lambda: {name: value.cpu() for name, value in session.model.state_dict().items()}
        )
        session.model.load_state_dict(state)
