"""The measured plan on the command line."""

import pytest
import yaml

PLAN = ("plan", "-data", "photos", "-mn", "test_resnet", "-predt", "no", "-dv", "cpu", "--epochs",
        "1", "--image-size", "32", "--threads", "1")  # fmt: skip


@pytest.mark.slow
def test_a_plan_is_measured_explained_and_remembered(run, photos):
    first = run(*PLAN, "--explain", "--plan-budget", "1s")
    assert first.code == 0
    assert "Forecast" in first.out
    assert "Candidates" in first.out
    assert "fp32 channels_last" in first.out
    saved = yaml.safe_load((photos.parent / "plan.yaml").read_text())
    assert saved["decisions"]["precision"]["source"] == "measured"
    assert saved["measured"]["remembered"] is False
    second = run(*PLAN, "--plan-budget", "1s")
    assert "remembered; it once took" in second.out
    assert "Candidates" not in second.out


def test_without_the_trial_the_tiers_decide(run, photos):
    ended = run(*PLAN, "--no-trial")
    assert ended.code == 0
    assert "Forecast" not in ended.out
    assert "measured" not in (photos.parent / "plan.yaml").read_text().replace(
        "# source: user (asked for), measured (on this machine)", ""
    ).replace("not before it is measured", "")


def test_a_measured_size_without_the_trial_is_an_error(run, photos):
    ended = run(*PLAN, "--batch-size", "auto", "--no-trial")
    assert ended.code == 2
    assert ended.error.startswith("--batch-size auto is measured, but --trial is False")
