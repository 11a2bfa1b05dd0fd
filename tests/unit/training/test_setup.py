"""From words to what a run starts with."""

from lacewing.training.loop import train
from lacewing.training.setup import prepare


def test_a_trained_head_meets_the_classes_of_the_data(begun, small):
    session = begun(epochs=1)
    train(session)
    weights = prepare(small(load_model=session.run.folder)).weights
    assert weights.classes == session.index.classes
    assert weights.rows == (0, 1, 2)
