"""What befalls one process is answered by all of them."""

import pytest
import torch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ended(launch, words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")

    def case(name, *more, **misfortune):
        run = folder / name
        said = words(run, "--evaluate", "False", *more)
        return {"processes": 2, "words": said, "run": run, **misfortune}

    plain = ("--model", "test_convnext", "--image-size", "64")  # it has no BatchNorm
    stopped = case("stopped", "--epochs", "4", *plain, signal={"rank": 1, "calls": [8]})
    going_on = {"processes": 1, "words": ["resume", str(folder / "stopped")],
                "run": folder / "stopped"}  # fmt: skip
    cases = {
        "calm": case("calm", "--epochs", "4", *plain),
        "full": case("full", *plain, out_of_memory={"rank": 1, "calls": [2]}),
        "norms": case("norms", out_of_memory={"rank": 1, "calls": [2]}),
        "update": case("update", *plain, update={"rank": 1, "calls": [1]}),
        "later": case("later", *plain, update={"rank": 0, "calls": [3]}),
        "never": case("never", *plain, update={"rank": 1, "calls": list(range(1, 99))}),
        "squares": case("squares", *plain, squares={"rank": 1, "calls": [1]}),
        "sum": case("sum", *plain, sum={"rank": 1, "calls": [1]}),
        "split": case("split", *plain),
        "wild": case("wild", "--learning-rate", "1e30"),
        "few": case("few", "--batch-size", "1"),
        "folds": case("folds", "--folds", "3", "--evaluate", "True"),
        "stopped": stopped,
        "resumed": going_on,
    }  # fmt: skip
    return dict(zip(cases, launch(*cases.values()), strict=True))


def test_out_of_memory_in_one_halves_the_passes_of_all(ended):
    full, calm = ended["full"], ended["split"]
    assert full.codes == [0, 0], full.logs
    (event,) = full.events("out-of-memory")
    assert (event["step"], event["old"], event["new"]) == (1, 3, 1)
    for name, weight in calm.weights.items():
        torch.testing.assert_close(full.weights[name], weight, atol=1e-3, rtol=1e-2)


def test_it_may_run_out_while_the_others_wait_within_a_pass(ended):
    assert ended["norms"].codes == [0, 0], ended["norms"].logs
    assert len(ended["norms"].events("out-of-memory")) == 1


@pytest.mark.parametrize(("name", "step"), [("update", 0), ("later", 2)])
def test_an_update_that_ran_out_in_one_sends_all_back_to_the_last_snapshot(ended, name, step):
    """The others' weights are changed already."""
    torn, calm = ended[name], ended["split"]
    assert torn.codes == [0, 0], torn.logs
    (event,) = torn.events("out-of-memory")
    assert (event["old"], event["new"]) == (3, 1)
    assert f"while step {step} changed the weights, back to step {event['step']}:" in torn.logs[0]
    assert [row["step"] for row in torn.rows] == [row["step"] for row in calm.rows]
    for name, weight in calm.weights.items():
        torch.testing.assert_close(torn.weights[name], weight, atol=1e-3, rtol=1e-2)


def test_an_update_that_never_fits_in_one_ends_all_with_the_same_sentence(ended):
    never = ended["never"]
    assert never.codes == [1, 1], never.logs
    assert [event["new"] for event in never.events("out-of-memory")] == [1]
    assert "even without images" in never.logs[0]


def test_a_sum_of_gradients_that_ran_out_in_one_ends_all(ended):
    """The others wait in the midst of it."""
    lost = ended["sum"]
    assert lost.codes == [1, 1], lost.logs
    assert "lost the others: one of them ended" in lost.logs[0]
    assert "ran out at step 0 while the gradients" in lost.logs[1]


def test_loading_that_ran_out_in_validation_of_one_halves_the_batches_of_all(ended):
    squares, calm = ended["squares"], ended["split"]
    assert squares.codes == [0, 0], squares.logs
    (event,) = squares.events("out-of-memory")
    assert (event["field"], event["new"]) == ("eval_batch", event["old"] // 2)
    for row, same in zip(squares.rows, calm.rows, strict=True):
        assert row["val_loss"] == pytest.approx(same["val_loss"], abs=1e-4)
        assert row["val_accuracy"] == same["val_accuracy"]


def test_a_loss_that_is_not_finite_sends_all_back_and_ends_all(ended):
    assert ended["wild"].codes == [1, 1], ended["wild"].logs
    assert len(ended["wild"].events("rollback")) == 3


def test_a_batch_too_small_for_all_is_refused_in_one_sentence(ended):
    few = ended["few"]
    assert few.codes == [2, 2], few.logs
    assert "A batch of 1 images can't be shared by 2 processes" in few.logs[0]
    assert not few.logs[1].strip()


def test_folds_are_refused_in_one_sentence(ended):
    folds = ended["folds"]
    assert folds.codes == [2, 2], folds.logs
    assert "--folds trains one run after another in one process" in folds.logs[0]
    assert not folds.logs[1].strip()
    assert not folds.run.folder.exists()


def test_a_signal_to_one_stops_all_and_another_number_goes_on(ended):
    assert ended["stopped"].codes == [130, 130], ended["stopped"].logs
    assert "interrupted by SIGTERM" in ended["stopped"].logs[0]
    assert ended["resumed"].codes == [0], ended["resumed"].logs
    resumed, calm = ended["resumed"].rows, ended["calm"].rows
    assert [row["step"] for row in resumed] == [row["step"] for row in calm]
    for row, same in zip(calm, resumed, strict=True):
        assert same["train_loss"] == pytest.approx(row["train_loss"], abs=1e-3)
        assert same["val_loss"] == pytest.approx(row["val_loss"], abs=1e-3)
