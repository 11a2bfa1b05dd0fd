"""Help: for every command, complete, and quick because nothing heavy is imported."""

import subprocess
import sys

import pytest

import lacewing
from lacewing.cli import COMMANDS


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_without_a_command_every_command_is_shown(run, words):
    ended = run(*words)
    assert ended.code == 0
    assert ended.err == ""
    for name, command in COMMANDS.items():
        assert f"\n{name} " in ended.out
        assert command.about in ended.out


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_names_all_it_takes(run, name, flag):
    ended = run(name, flag)
    assert ended.code == 0
    assert ended.err == ""
    assert f"usage: lacewing {name} " in ended.out
    words = {word.strip("[],") for word in ended.out.split()}
    for taken in COMMANDS[name].flags():
        assert taken.long in words
        assert not taken.short or taken.short in words


def test_help_wins_over_whatever_else_stands_there(run):
    assert run("train", "-data", "x", "--bogus", "--help").code == 0
    assert run("predict", "-h", "a").code == 0


def test_the_version(run):
    assert run("--version").out == f"lacewing {lacewing.__version__}\n"


@pytest.mark.parametrize(
    "words", [["--help"], ["train", "--help"], ["models", "--help"], ["--version"], ["tran"]]
)
def test_help_imports_nothing_heavy(words):
    code = (
        "import sys\n"
        "from lacewing.cli import main\n"
        f"main({words})\n"
        "print({'torch', 'numpy', 'timm', 'PIL', 'pyarrow'} & set(sys.modules), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ended.stderr.decode().splitlines()[-1] == "set()"
