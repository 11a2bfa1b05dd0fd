"""However a command ends, there is one sentence, an exit code, and no bare traceback."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lacewing import cli
from lacewing.commands.command import Command
from lacewing.errors import DeviceLostError, TrainingError


@pytest.fixture
def ending_with(monkeypatch):
    """`ending_with(error)` lets the command `fail` end with it."""

    def make(error):
        def fail(given):
            raise error

        monkeypatch.setitem(cli.COMMANDS, "fail", Command("Fails.", tuple, fail))

    return make


@pytest.mark.parametrize("error", [TrainingError("The loss is not finite."), DeviceLostError("x")])
def test_an_error_that_is_nobodys_fault_exits_with_1(run, ending_with, error):
    ending_with(error)
    ended = run("fail")
    assert ended.code == 1
    assert ended.error == str(error)


def test_a_fault_is_one_sentence_and_its_traceback_is_in_a_file(run, ending_with):
    ending_with(RuntimeError("first line\nsecond line"))
    ended = run("fail")
    assert ended.code == 1
    assert "Traceback" not in ended.text
    assert ended.error.startswith(
        "This is a fault of lacewing: RuntimeError: first line second line (details in "
    )
    found = re.search(r"details in (\S+lacewing-crash-\S+\.txt)\)", ended.error)
    details = Path(found[1])
    assert "Traceback" in details.read_text()
    assert "lacewing fail\n" in details.read_text()
    details.unlink()


def test_a_fault_is_told_even_where_no_file_can_be_written(run, ending_with, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cli.tempfile, "NamedTemporaryFile", refuse)
    ending_with(KeyError("x"))
    assert run("fail").error.endswith("KeyError: 'x' (LACEWING_DEBUG=1 shows more).")


def test_debugging_raises_it(run, ending_with, monkeypatch):
    ending_with(RuntimeError("seen"))
    monkeypatch.setenv("LACEWING_DEBUG", "1")
    with pytest.raises(RuntimeError, match="seen"):
        run("fail")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        OSError("libgomp.so.1: failed to map segment from shared object"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("can't start new thread"),
    ],
)
def test_an_exhausted_memory_is_no_fault_of_ours(run, ending_with, error):
    ending_with(error)
    ended = run("fail")
    assert ended.code == 1
    assert ended.error.startswith("The memory ran out: close other programs, or take a smaller")


def test_a_full_disk_is_no_fault_of_ours(run, ending_with):
    ending_with(OSError(errno.ENOSPC, "No space left on device", "runs/a/model.safetensors"))
    ended = run("fail")
    assert ended.code == 1
    assert ended.error == "The system refused: No space left on device (runs/a/model.safetensors)."


def test_ctrl_c_exits_with_130_and_one_line(run, ending_with):
    ending_with(KeyboardInterrupt())
    ended = run("fail")
    assert ended.code == 130
    assert ended.text == "warning: Interrupted.\n"


@pytest.mark.parametrize("rank", [0, 1])
def test_what_one_process_does_is_refused_to_several(run, monkeypatch, rank):
    for name, value in (("RANK", rank), ("WORLD_SIZE", 2), ("LOCAL_RANK", rank),
                        ("LOCAL_WORLD_SIZE", 2), ("MASTER_ADDR", "here")):  # fmt: skip
        monkeypatch.setenv(name, str(value))
    ended = run("evaluate", "runs/RUN")
    assert ended.code == 2
    if rank:
        assert ended.text == "", "the first process has said it"
    else:
        assert ended.error.startswith("`lacewing evaluate` is work for one process, and 2 were")
    assert run("models", "squeezenet").code == 0


def test_a_reader_that_has_gone_is_no_error():
    code = "import sys; from lacewing.cli import main; sys.exit(main(['train', '--help']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() in (0, 1)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child")
def test_ctrl_c_in_a_process_exits_with_130():
    code = (
        "import sys, time\n"
        "from lacewing import cli\n"
        "from lacewing.commands.command import Command\n"
        "def wait(given):\n"
        "    print('waiting', flush=True)\n"
        "    time.sleep(60)\n"
        "cli.COMMANDS['wait'] = Command('Waits.', tuple, wait)\n"
        "sys.exit(cli.main(['wait']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background job, from which the tests may be run, ignores it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (130, "", "warning: Interrupted.\n")
