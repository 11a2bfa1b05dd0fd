from lacewing.results.projection import project, project_forecast

TIMES = {"train": 10.0, "val": 4.0}


def test_training_grows_with_training_images_and_validation_with_its_own():
    rows = [{"seconds": 5.0, "val_seconds": 1.0}, {"seconds": 3.0, "val_seconds": 1.0}]
    found = project(rows, {"val": 2.0, "test": 7.0}, TIMES)
    assert found == {"training_seconds": 68.0, "judging_seconds": 15.0}


def test_a_forecast_grows_but_for_the_judging():
    assert project_forecast({"run_seconds": 12.0, "judge_seconds": 2.0}, TIMES) == 102.0
    assert project_forecast({"peak_bytes": 1.0}, TIMES) is None
