"""The bench set up: what preparing images takes, in threads and between the steps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lacewing.data.batch import Batch
from lacewing.engine.losses import make_loss
from lacewing.hardware.fake import FakeBackend
from lacewing.planning.learning import loss_of, optimizer_of
from lacewing.planning.trial import stage
from lacewing.planning.trial.bench import STILL
from lacewing.planning.trial.ways import planned
from lacewing.values import Choice


def test_what_threads_do_is_told_apart_and_what_comes_once_left_out(scene, monkeypatch):
    """Seconds of an image: 1 to decode, 0.1 to prepare, 0.02 to augment; 50 and 30 come once."""
    made = scene(FakeBackend())
    opened = []

    class Loader:
        def __init__(self, size):
            self.size, self.wait_seconds = size, 0.0
            opened.append(self)

        def epoch(self, epoch):
            first = opened == [self]
            in_threads = self.size * (0.1 + (epoch == 0)) + 50 * first
            self.wait_seconds += in_threads
            made.fake.now += in_threads + self.size * 0.02 + 30 * first
            labels = torch.zeros(self.size, dtype=torch.int64)
            yield Batch(torch.zeros(self.size, 3, 32, 32), labels, np.arange(self.size))

    monkeypatch.setattr(stage, "train_loader", lambda *given: Loader(given[3]))
    _, sample = stage.set_up(made.plan, made.config, made.work, made.fake, 0, lambda: made.fake.now)
    assert [loader.size for loader in opened] == [2, 8]
    assert sample.decode_seconds == pytest.approx(1.0)
    assert sample.prepare_seconds == pytest.approx(0.1)
    assert sample.augment_seconds == pytest.approx(0.02)


@pytest.mark.parametrize(("kind", "images"), [("cuda", 8), ("cpu", 4)])
def test_varying_is_timed_on_a_whole_batch_where_it_goes_by_the_batch(
    scene, monkeypatch, kind, images
):
    """Half a second of a batch, however many images there are in it."""
    made = scene(FakeBackend(kind))

    class Loader:
        wait_seconds = 0.0

        def __init__(self, size):
            self.size = size

        def epoch(self, epoch):
            made.fake.now += 0.5
            labels = torch.zeros(self.size, dtype=torch.int64)
            yield Batch(torch.zeros(self.size, 3, 32, 32), labels, np.arange(self.size))

    monkeypatch.setattr(stage, "train_loader", lambda *given: Loader(given[3]))
    monkeypatch.setattr(stage, "MOST_IMAGES", 4)
    plan = replace(made.plan, batch=Choice(8, "", "rule"))
    _, sample = stage.set_up(plan, made.config, made.work, made.fake, 0, lambda: made.fake.now)
    assert len(sample.images) == len(sample.labels) == 4
    assert sample.augment_seconds == pytest.approx(0.5 / images)


def test_the_bench_has_the_loss_and_the_optimiser_of_the_run(scene):
    words = {"focal": 2.0, "logit_adjustment": 1.0, "label_smoothing": 0.1}
    made = scene(FakeBackend(), decay_norms=False, head_rate=10.0, layer_decay=0.8, **words)
    bench, sample = stage.set_up(made.plan, made.config, made.work, made.fake, 0, lambda: 0.0)
    classes = len(made.work.index.classes)
    found = bench.optimizer(planned(made.plan))
    run = optimizer_of(made.config, bench.copy("contiguous"), 0.1, "plain")
    assert groups_of(found) == groups_of(run)
    assert len(groups_of(found)) > 2
    assert {group["lr"] for group in found.param_groups} == {STILL}
    logits = torch.randn(len(sample.labels), classes)
    loss = float(bench.loss(logits, sample.labels))
    device = torch.device("cpu")
    assert loss == float(loss_of(made.config, made.work.index, device)(logits, sample.labels))
    assert loss != float(make_loss(0.1)(logits, sample.labels))


def groups_of(optimizer):
    """Rate, decay and number of weights of each group."""
    return [
        (group["lr_scale"], group["weight_decay"], len(group["params"]))
        for group in optimizer.param_groups
    ]
