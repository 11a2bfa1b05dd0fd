"""How a finished model is judged."""

import pytest

from lacewing.engine.execution import Execution, for_judging


@pytest.mark.parametrize(
    ("precision", "images", "expected"),
    [("bf16", 64, 32), ("fp16", 1, 1), ("fp32", 64, 64), ("tf32", 64, 64)],
)
def test_judging_in_full_precision_takes_no_more_than_the_plans_passes(precision, images, expected):
    usual = Execution(
        device="cuda:0", precision=precision, memory_format="channels_last", micro_batch=images
    )
    judging = for_judging(usual)
    assert (judging.precision, judging.micro_batch) == ("fp32", expected)
    assert (judging.device, judging.memory_format) == ("cuda:0", "channels_last")
