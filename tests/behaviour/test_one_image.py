"""-bz 1: passes of one image, on networks that can be trained so."""

import pytest

from lacewing.store.run import Run, read_lines


@pytest.mark.parametrize(
    "more",
    [
        ("-mn", "test_convnext"),  # it has no BatchNorm
        ("-mn", "test_resnet", "--image-size", "64"),  # its last maps have several pixels
        ("-mn", "test_resnet", "--image-size", "32", "--freeze-norms", "True"),
    ],
)
def test_it_trains_on_one_image_at_a_time(run, photos, tmp_path, more):
    size = () if "--image-size" in more else ("--image-size", "32")
    ended = run(
        "train", "-data", photos, "-predt", "no", "-dv", "cpu", "-bz", "1", "-ep", "1",
        "--name", "one", "--tensorboard", "no", "--evaluate", "no", *more, *size,
    )  # fmt: skip
    assert ended.code == 0, ended.text
    (row,) = read_lines(Run(tmp_path / "runs" / "one").metrics)
    assert row["micro_batch"] == 1
    assert row["step"] > 10


def test_plan_refuses_it_too(run, photos):
    ended = run("plan", "-data", photos, "-predt", "no", "-dv", "cpu", "-mn", "resnet18",
                "--image-size", "32", "-bz", "1")  # fmt: skip
    assert ended.code == 2
    assert "resnet18 can't be trained on one image of 32 pixels at a time" in ended.error
