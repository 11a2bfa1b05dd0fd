"""From words to what a run starts with."""

from lacewing.training.loop import train
from lacewing.training.setup import job_of, prepare


def test_a_trained_head_meets_the_classes_of_the_data(begun, small):
    session = begun(epochs=1)
    train(session)
    weights = prepare(small(load_model=session.run.folder)).weights
    assert weights.classes == session.index.classes
    assert weights.rows == (0, 1, 2)


def test_an_average_of_the_weights_is_counted(small):
    plain, averaged = (prepare(small(ema=ema)) for ema in (0.0, 0.9))
    jobs = [job_of(one.config, one.info, None, one.index) for one in (plain, averaged)]
    assert [job.average_bytes for job in jobs] == [0, 4 * averaged.info.parameters]
