"""What is remembered, and for which questions it is the answer."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from lacewing.config import TrainConfig
from lacewing.performance_config import TIERS
from lacewing.planning.trial import history
from lacewing.values import Choice


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LACEWING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def ask(plan_on, recorded, make_job):
    """The key of a question, with changes."""

    def key(machine=None, data="pests", job=None, tier=TIERS["cpu"], **words):
        plan = plan_on("cpu_2core_24gb", **words)
        machine = machine or recorded("cpu_2core_24gb")
        return history.key_of(plan, TrainConfig(**words), machine, job or make_job(), tier, data)

    return key


def test_findings_come_back(found):
    history.remember("a", found())
    assert history.recall("a") == found()
    assert history.recall("b") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"best": 3}'])
def test_a_damaged_file_is_no_answer(cache, text):
    (cache / "trials").mkdir(parents=True)
    (cache / "trials" / "a.json").write_text(text)
    assert history.recall("a") is None


def test_a_cache_that_cannot_be_written_is_done_without(cache, found):
    cache.write_text("a file where the folder should be")
    history.remember("a", found())
    assert history.recall("a") is None


def test_free_memory_does_not_change_the_question(ask, recorded):
    machine = recorded("cpu_2core_24gb")
    busy = replace(machine, memory_free_bytes=1, disk_free_bytes=1)
    assert ask(busy) == ask()


def test_nor_do_the_images_of_a_forward_only_pass_that_go_by_it(plan_on, recorded, make_job):
    plan, machine = plan_on("cpu_2core_24gb"), recorded("cpu_2core_24gb")
    plans = [replace(plan, eval_batch=Choice(images, "", "rule")) for images in (61, 62)]
    about = (TrainConfig(), machine, make_job(), TIERS["cpu"], "pests")
    assert history.key_of(plans[0], *about) == history.key_of(plans[1], *about)


def test_whatever_changes_speed_changes_the_question(ask, recorded, make_job):
    machine = recorded("cpu_2core_24gb")
    (cpu,) = machine.devices
    others = {
        ask(replace(machine, torch="2.4.1")),
        ask(replace(machine, devices=(replace(cpu, pairs=("fp32 contiguous",)),))),
        ask(replace(machine, devices=(replace(cpu, failed_kernels={"fused": "wrong"}),))),
        ask(data="weeds"),
        ask(job=make_job(model="resnet50")),
        ask(image_size=160),
        ask(batch_size=8),
        ask(precision="fp32"),
        ask(threads=1),
        ask(epochs=99),
        ask(eval_size=160),
        ask(momentum=0.0),
        ask(focal=2.0),
        ask(decay_norms=False),
        ask(head_rate=10.0),
        ask(layer_decay=0.8),
        ask(min_crop=0.9),
        ask(rotation=20.0),
        ask(flip=False),
        ask(color_jitter=0.0),
        ask(ema=0.99),
        ask(tier=replace(TIERS["cpu"], compile=False)),
    }
    assert ask() not in others
    assert len(others) == 22


def test_so_do_larger_images_of_the_same_name(tint_index):
    """Photos that were replaced by others in place, or another folder of the same name."""
    same = tint_index.take(np.arange(len(tint_index))[::-1])
    assert history.data_of(same) == history.data_of(tint_index)
    for column in ("width", "bytes"):
        values = pa.array(3 * tint_index.column(column))
        place = tint_index.table.schema.get_field_index(column)
        table = tint_index.table.set_column(place, column, values)
        assert history.data_of(replace(tint_index, table=table)) != history.data_of(tint_index)


def test_without_images_it_is_the_name_that_tells(tint_index):
    none = replace(tint_index, table=tint_index.table.slice(0, 0))
    assert history.data_of(none) == f"{tint_index.name}: 0.0e+00 pixels, 0.0e+00 bytes"


def test_so_do_other_versions_of_what_networks_come_from(ask, monkeypatch):
    before = ask()
    monkeypatch.setattr(history, "version", lambda name: "99" if name == "timm" else "0.1")
    assert ask() != before


def test_costs_of_compiling_are_kept_by_network_device_and_compiler(plan_on, recorded):
    cpu = plan_on("cpu_2core_24gb"), recorded("cpu_2core_24gb")
    gpu = plan_on("h100_80gb"), recorded("h100_80gb")
    assert history.compile_seconds(*cpu, "resnet18", "default") is None
    history.remember_compile(*cpu, "resnet18", "default", 41.5)
    history.remember_compile(*gpu, "resnet50", "reduce-overhead", 90.0)
    history.remember_compile(*gpu, "resnet50", "cudagraphs", 7.0)
    assert history.compile_seconds(*cpu, "resnet18", "default") == 41.5
    assert history.compile_seconds(*cpu, "resnet50", "default") is None
    assert history.compile_seconds(*gpu, "resnet50", "default") == 90.0
    assert history.compile_seconds(*gpu, "resnet50", "cudagraphs") == 7.0


def test_so_they_are_by_image_size_machine_and_versions(plan_on, recorded):
    plan, machine = plan_on("cpu_2core_24gb"), recorded("cpu_2core_24gb")
    larger = replace(plan, image_size=Choice(160, "", "user"))
    history.remember_compile(plan, machine, "resnet18", "default", 41.5)
    assert history.compile_seconds(larger, machine, "resnet18", "default") is None
    for other in (replace(machine, torch="2.4.1"), replace(machine, cpu="another")):
        assert history.compile_seconds(plan, other, "resnet18", "default") is None
    busy = replace(machine, memory_free_bytes=1)
    assert history.compile_seconds(plan, busy, "resnet18", "default") == 41.5


def test_whether_norms_keep_their_statistics_changes_the_question(ask):
    """128 images of a pass are enough for new ones in classic training, not in a recipe."""
    classic = ask(batch_size=320)
    assert ask(batch_size=320, recipe="finetune") != classic
    assert ask(batch_size=320, freeze_norms=True) != classic
    assert ask(batch_size=320, freeze_norms=False) == classic
    assert ask(batch_size=8, recipe="finetune") == ask(batch_size=8)
