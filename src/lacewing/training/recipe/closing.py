"""What comes after the last step, and how long it takes: views, calibration, judging, report."""

from dataclasses import dataclass, replace

from lacewing.config import TrainConfig
from lacewing.engine.execution import Execution, for_judging
from lacewing.training.recipe.blend import SHARES
from lacewing.training.recipe.budget import Budget
from lacewing.training.recipe.size import Allowance, Speed
from lacewing.training.recipe.speed import decode_seconds, decoding_adds, forward_speed
from lacewing.training.recipe.views import LEAST_IMAGES, MOST_IMAGES, VIEWS
from lacewing.training.session import Session

REPORT_SECONDS = 6.0
"""For pictures, heat maps, report and files at the end."""
SHOWN_IMAGES = 68
"""That the report decodes again, one after the other: mistakes, confused pairs, doubtful labels."""
PROBE_BATCH = 8
"""Images of one timed pass on a CPU, whose rate hardly depends on them."""
VIEW_SHARE = 0.05
"""Of the budget, what is set aside for comparing means of weights, and again for comparing frames:
where one of them takes more, the time goes to training, and it is tried only if some is left over.
A mirrored view is so in any case: it is rarely taken, and the time to judge by it would be lost."""
LEEWAY = 1.2
"""Times what they are expected to take: what was set aside should be enough in the end."""


@dataclass(frozen=True)
class Closing:
    """Seconds of what comes after the last step."""

    usual: float
    """Of what is done in any case."""
    means: float = 0.0
    """To compare means of the weights before and after fine-tuning."""
    frames: float = 0.0
    """To compare the whole frame with the usual one."""
    mirror: float = 0.0
    """To compare mirrored views too, and to calibrate and judge by one."""
    validation: float = 0.0
    """Of one pass over the validation images as in training; one is in `usual`."""

    def reserved(self, seconds: float) -> float:
        """What to set aside of a budget of so many seconds."""
        most = VIEW_SHARE * seconds
        return self.usual + LEEWAY * sum(one for one in (self.means, self.frames) if one <= most)

    def affordable(self, left: float) -> tuple[str, ...]:
        """The views that so many seconds are enough for."""
        names = list(VIEWS)
        if left < self.usual + self.frames:
            names = names[:1]
        elif left < self.usual + self.frames + self.mirror:
            names = names[:2]
        return tuple(names)


def closing_of(
    tta: str | None, images: int, validating: float, judging: float, *, mixes: bool = False
) -> Closing:
    """By the seconds of a pass over `images` validation images as in training, and of judging
    them and the test images in full precision, each image once; `tta` as in TrainConfig.

    `mixes` is whether means of the weights before and after fine-tuning are compared too.
    """
    usual = REPORT_SECONDS + validating + judging  # validated to calibrate, or as the last epoch
    one = validating * min(1.0, MOST_IMAGES / max(1, images))
    means = (1 + len(SHARES)) * one if mixes and images >= LEAST_IMAGES else 0.0
    if tta == "auto" and images >= LEAST_IMAGES:
        return Closing(usual, means, 2 * one, 2 * one + validating + judging, validating)
    if tta in VIEWS and VIEWS[tta].mirror:
        usual += validating + judging
    return Closing(usual, means, validation=validating)


def measured_closing(session: Session) -> Closing:
    """By the speed of this machine, which is measured once: later there is no time for that."""
    if session.closing is None:
        session.closing = closing_here(session)
    return session.closing


def closing_here(session: Session) -> Closing:
    """By the speed of this machine, measured now."""
    validation, test = (len(session.index.split(name)) for name in ("val", "test"))
    usual = session.plan.eval_execution
    one = decode_seconds(session.index.split("val"), session.preprocessing)
    decoding = decoding_adds(session.plan, one)
    judging = 0.0
    if session.config.evaluate:
        full = in_full_precision(usual, session.backend.kind)
        judging = judging_seconds(session, validation + test, full, decoding) + SHOWN_IMAGES * one
    validating = judging_seconds(session, validation, usual, decoding)
    mixes = session.config.recipe == "finetune" and session.config.wise_ft == "auto"
    closing = closing_of(session.config.tta, validation, validating, judging, mixes=mixes)
    if session.config.is_classic and is_polished(session.config):  # after the last epoch's
        return replace(closing, usual=closing.usual + validating)
    return closing


def in_full_precision(usual: Execution, kind: str) -> Execution:
    """How the finished model is judged on a device of this kind, in passes that are to be timed."""
    judging = for_judging(usual)
    return replace(judging, micro_batch=PROBE_BATCH) if kind == "cpu" else judging


def is_polished(config: TrainConfig) -> bool:
    """Whether the finished model is calibrated: by recipes, and where macro F1 is the aim."""
    by_recipe = config.calibrate and not config.is_classic
    return by_recipe or config.optimize == "macro-f1"


def closing_seconds(session: Session, budget: Budget) -> float:
    """What to set aside of a budget."""
    return measured_closing(session).reserved(budget.seconds)


def allowance_of(
    left: float, judging: Speed, images: int, judged: int, decoding: float
) -> Allowance:
    """What a feature pass over `images` may take, if so many are judged after it.

    `decoding` is the seconds that it adds to each image of a pass.
    """
    return Allowance(left, judging, judged, REPORT_SECONDS + decoding * (images + judged))


def has_time_to_mix(session: Session, budget: Budget | None) -> bool:
    """Whether means of weights can be compared in the time that is left; else it is said."""
    if budget is None:
        return True
    closing = measured_closing(session)
    if budget.left() >= closing.usual + closing.means:
        return True
    session.events.add("blend", "no time is left to compare means of weights: the best epoch stays")
    return False


def views_to_try(session: Session, budget: Budget | None) -> tuple[str, ...]:
    """The views that the finished model may get, in the time that is left; asked for, one."""
    asked = session.config.tta or "off"
    if asked != "auto":
        return (asked,)
    if len(session.index.split("val")) < LEAST_IMAGES:
        return ("off",)
    names = tuple(VIEWS)
    if budget is not None:
        names = measured_closing(session).affordable(budget.left())
    if len(names) == 1:
        session.events.add("views", "no time is left to compare views: the usual one stays")
    if session.preprocessing.crop_fraction >= 1.0:  # the usual view is the whole frame
        names = tuple(name for name in names if not VIEWS[name].whole)
    return names


def judging_seconds(session: Session, images: int, execution: Execution, decoding: float) -> float:
    """Of a forward-only pass over so many images, to each of which decoding adds `decoding`."""
    size = session.preprocessing.image_size
    speed = forward_speed(session.model, session.backend, session.device_index, execution, size)
    return speed.seconds(images, size) + decoding * images
