"""metrics.jsonl: rows wait for the disk, and are taken back."""

from lacewing.store.run import Run, read_lines
from lacewing.training.events import EventLog
from lacewing.training.history import append_rows, forget_after


def log(run):
    return EventLog(run, lambda _: None)


def test_rows_wait_for_the_disk_in_their_order(tmp_path, capsys):
    run = Run(tmp_path)
    run.metrics.mkdir()  # as good as any other refusal
    waiting = [{"epoch": 1}]
    append_rows(run, waiting, log(run))
    assert waiting == [{"epoch": 1}]
    assert "tried again" in capsys.readouterr().err
    run.metrics.rmdir()
    waiting.append({"epoch": 2})
    append_rows(run, waiting, log(run))
    assert not waiting
    assert list(read_lines(run.metrics)) == [{"epoch": 1}, {"epoch": 2}]


def test_later_rows_are_forgotten(tmp_path):
    run = Run(tmp_path)
    append_rows(run, [{"epoch": n} for n in (1, 2, 3)], log(run))
    forget_after(run, 2)
    assert [row["epoch"] for row in read_lines(run.metrics)] == [1, 2]


def test_events_that_the_disk_refuses_are_shown(tmp_path, capsys):
    run = Run(tmp_path)
    run.events.mkdir()
    log(run).record("start", "it begins")
    assert "it begins" in capsys.readouterr().err
