"""The linear rule, the tier's factor, and what accumulation leaves alone."""

import pytest


@pytest.mark.parametrize(
    ("machine", "rate"),
    [
        ("h100_80gb", 0.001),
        ("gtx1650_4gb", 0.001 * 11 / 16),
        ("cpu_2core_24gb", 0.001 * 6 / 16),
        ("directml_laptop", 0.001 * 5 / 16 * 0.5),
    ],
)
def test_the_asked_rate_follows_the_batch(plan_on, machine, rate):
    choice = plan_on(machine, batch_size=16, learning_rate=0.001).learning_rate
    assert choice.value == pytest.approx(rate, rel=1e-12)
    assert choice.source == ("user" if rate == 0.001 else "rule")


@pytest.mark.parametrize("machine", ["cpu_2core_24gb", "directml_laptop", "gtx1650_4gb"])
def test_accumulation_leaves_it_alone(plan_on, machine):
    plan = plan_on(machine, batch_size=16, learning_rate=0.0007, accumulate=True)
    assert (plan.learning_rate.value, plan.learning_rate.source) == (0.0007, "user")


def test_fewer_images_than_requested_lower_it(plan_on, make_job):
    job = make_job(training_images=8)
    plan = plan_on("h100_80gb", job, batch_size=32, learning_rate=0.004)
    assert plan.learning_rate.value == pytest.approx(0.001)


def test_the_usual_rate_is_for_32_images(plan_on):
    rate = plan_on("h100_80gb", batch_size=64).learning_rate
    assert rate.value == pytest.approx(6e-4)
    assert "Adam's usual 0.0003 x 64/32" in rate.reason


def test_no_cpu_factor_and_why(plan_on):
    rate = plan_on("cpu_2core_24gb", batch_size=16, learning_rate=0.001).learning_rate
    assert rate.reason == "0.001 x 6/16: the linear rule already lowers it"
