"""Two and four processes train what one trains."""

import pytest
import torch

pytestmark = pytest.mark.slow
MIXED = ("--mixup", "0.2", "--cutmix", "1.0", "--ema", "0.9")
"""Of a step's six images, two of four processes have one and two have two. What is kept is an
average of the weights."""
UNJUDGED = ("--evaluate", "False")


@pytest.fixture(scope="module")
def ended(launch, words, tmp_path_factory, tint_index):
    folder = tmp_path_factory.mktemp("runs")

    def case(processes, name, *more):
        run = folder / f"{name}-{processes}"
        return {"processes": processes, "words": words(run, *more), "run": run}

    settings = {
        "data": str(tint_index.root), "model": "test_resnet", "pretrained": False,
        "batch_size": 6, "accumulate": True, "epochs": 2, "image_size": 32, "tensorboard": False,
        "device": "cpu", "threads": 1, "trial": False, "optimizer": "sgd", "learning_rate": 0.01,
        "patience": 0, "precision": "fp32", "memory_format": "contiguous", "workers": 0,
        "output": str(folder), "name": "ray", "evaluate": False,
    }  # fmt: skip
    cases = [
        case(1, "norms", *UNJUDGED), case(2, "norms", *UNJUDGED), case(4, "norms"),
        case(1, "mixed", *MIXED, *UNJUDGED), case(4, "mixed", *MIXED, *UNJUDGED),
        {"processes": 2, "ray": settings, "run": folder / "ray"},
    ]  # fmt: skip
    names = ("norms-1", "norms-2", "norms-4", "mixed-1", "mixed-4", "ray")
    return dict(zip(names, launch(*cases), strict=True))


@pytest.mark.parametrize(
    ("alone", "others"), [("norms-1", "norms-2"), ("norms-1", "norms-4"), ("mixed-1", "mixed-4")]
)
def test_weights_and_figures_are_those_of_one_process(ended, alone, others):
    one, several = ended[alone], ended[others]
    assert one.codes == [0]
    assert set(several.codes) == {0}, several.logs
    for name, weight in one.weights.items():
        torch.testing.assert_close(several.weights[name], weight, atol=2e-4, rtol=1e-3, msg=name)
    for row, same in zip(one.rows, several.rows, strict=True):
        for figure in ("train_loss", "val_loss"):
            assert same[figure] == pytest.approx(row[figure], abs=1e-3)
        assert same["learning_rate"] == row["learning_rate"]
        assert same["step"] == row["step"]
    assert one.order == several.order


def test_rays_function_trains_the_same_in_the_group_that_is_there(ended):
    assert ended["ray"].codes == [0, 0], ended["ray"].logs
    for name, weight in ended["norms-2"].weights.items():
        assert torch.equal(ended["ray"].weights[name], weight)


def test_only_the_first_process_is_heard(ended):
    first, *others = ended["norms-4"].logs
    assert "4 processes train together" in first
    assert "Result" in first
    assert not any(other.strip() for other in others)


def test_the_plan_says_how_the_batch_is_dealt_out(ended):
    plan = ended["norms-4"].run.plan.read_text()
    assert "4 processes take 2 each" in plan
    assert "statistics are those of all processes: 2 images" in plan
