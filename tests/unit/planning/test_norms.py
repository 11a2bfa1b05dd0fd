"""In which passes BatchNorm keeps its pretrained statistics."""

import pytest

from lacewing.config import TrainConfig
from lacewing.planning.norms import keeps_statistics


@pytest.mark.parametrize(
    ("words", "pretrained", "images", "kept"),
    [
        ({}, True, 31, True),
        ({}, True, 32, False),
        ({"recipe": "classic"}, True, 31, True),
        ({}, False, 31, False),
        ({"recipe": "finetune"}, True, 64, True),
        ({"recipe": "finetune", "freeze_norms": False}, True, 4, False),
        ({"freeze_norms": True}, False, 64, True),
    ],
)
def test_where_they_stay(words, pretrained, images, kept):
    assert keeps_statistics(TrainConfig(**words), pretrained, images) is kept
