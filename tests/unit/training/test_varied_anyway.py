"""A plan's kernels that don't run here: images are varied by tensor operations, and it is told."""

from dataclasses import replace

from lacewing.store.run import read_lines
from lacewing.training.begin import begin
from lacewing.training.loop import train
from lacewing.training.setup import prepare
from lacewing.values import Choice


def test_kernels_that_do_not_run_here_end_nothing(small):
    prepared = prepare(small(device="cpu", epochs=1))
    plan = replace(prepared.plan, augment_on=Choice("kernel", "of another machine", "measured"))
    session = begin(replace(prepared, plan=plan))
    train(session)
    assert session.progress.epoch == 1
    (told,) = [e for e in read_lines(session.run.events) if e["kind"] == "pixels"]
    assert "varied by tensor operations, not by kernels: " in str(told)
