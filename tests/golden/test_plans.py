"""What is decided for one job on every recorded machine, held as text.

A changed rule shows here as a changed text: which machines get another plan, and why. Write
the texts anew with `LACEWING_UPDATE_GOLDEN=1 pytest tests/golden`, and read the difference.
"""

import os
from pathlib import Path

import pytest

from lacewing.config import TrainConfig
from lacewing.hardware.machine import Machine
from lacewing.planning.document import explain
from lacewing.planning.job import Job
from lacewing.planning.make import make_plan

HERE = Path(__file__).parent
MACHINES = sorted((HERE.parent / "machines").glob("*.json"))
ACCUMULATED = ("cpu_2core_24gb", "gtx1650_4gb", "directml_laptop")
CASES = [(file.stem, False) for file in MACHINES] + [(name, True) for name in ACCUMULATED]
LINE_WIDTH = 100

IP102 = Job(
    training_images=45_095,
    classes=102,
    model="resnet50",
    native_size=224,
    min_size=32,
    fixed_size=False,
    pretrained=True,
    optimizer="Adam",
    default_learning_rate=3e-4,
    optimizer_kernels=("foreach", "fused"),
    # training and validation images, kept a third longer than wide
    cache_bytes=lambda size: 3 * (45_095 + 7_508) * round(size * 8 / 7) ** 2 * 4 // 3,
)


def classic(accumulate: bool) -> TrainConfig:
    """-data IP102 -optim Adam -sch steplr -l2 0.01 -do 0.5 -mn resnet -lr 0.001 -bz 16 -ep 50."""
    return TrainConfig(
        data="IP102",
        optimizer="Adam",
        scheduler="steplr",
        weight_decay=0.01,
        dropout=0.5,
        pretrained=True,
        model="resnet",
        learning_rate=0.001,
        batch_size=16,
        epochs=50,
        accumulate=accumulate,
    )


@pytest.mark.parametrize(("name", "accumulate"), CASES)
def test_the_plan_reads_as_it_did(name, accumulate):
    machine = Machine.load(HERE.parent / "machines" / f"{name}.json")
    text = explain(make_plan(classic(accumulate), machine, IP102))
    golden = HERE / f"{name}{'.accumulate' if accumulate else ''}.txt"
    if os.environ.get("LACEWING_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    assert all(len(line) <= LINE_WIDTH for line in text.splitlines())


def test_every_text_has_its_machine():
    expected = {f"{name}{'.accumulate' if kept else ''}.txt" for name, kept in CASES}
    assert {file.name for file in HERE.glob("*.txt")} == expected
