"""What a trained model is judged on."""

from lacewing.hardware.limits import usable_cores
from lacewing.running import judge


def test_other_images_are_read_by_as_many_threads_as_there_are_cores(tint_index, monkeypatch):
    asked = {}

    def open_images(data, **words):
        asked.update(words)
        return tint_index

    monkeypatch.setattr(judge, "open_images", open_images)
    judge.other_images("farm", None, None)
    assert asked["threads"] == usable_cores().value
