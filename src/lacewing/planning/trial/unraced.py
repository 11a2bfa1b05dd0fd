"""Where the memory is counted on to hold no pass: none is timed, and its memory is weighed.

On the CPU a child weighs it: Linux would end this process without a word, and with it the sentence
on what would fit.
"""

from dataclasses import replace

from lacewing.planning.trial.context import Trial
from lacewing.planning.trial.findings import Findings, Timed
from lacewing.planning.trial.ways import planned
from lacewing.planning.trial.weigh import snapshot_of, weigh_memory

OUT = "the memory is counted on to hold no pass"


def only_weighed(trial: Trial) -> Findings:
    """The rules' ways without times, and the memory that they take."""
    way = planned(trial.plan)
    best = Timed(way=way, out=OUT)
    forward = Timed(way=replace(way, images=trial.plan.eval_batch.value), out=OUT)
    trial.bench.keep_only(way)
    model, is_measured = weigh_memory(trial, best, forward.way)
    return Findings(
        best=best,
        training=(best,),
        best_forward=forward,
        forward=(forward,),
        plain_seconds=0.0,
        memory=model,
        memory_measured=is_measured,
        snapshot_bytes=snapshot_of(trial, way, model),
        base_bytes=trial.base_bytes,
        cut_at_bytes=trial.plan.memory_bytes.value,
        seconds=trial.budget.spent,
        allowed_seconds=trial.budget.limit,
    )
