"""Every command that the documentation shows can be typed, and every make target is there."""

import re
import shlex
from pathlib import Path

from lacewing.cli import COMMANDS
from lacewing.flags import HELP, config_from, read_words

ROOT = Path(__file__).resolve().parents[2]
MAKE = re.compile(r"`make ([\w-]+)`|^make ([\w-]+)(?: +#.*)?$", re.MULTILINE)
CONFIGURED = ("train", "plan")


def test_a_shown_command_can_be_typed(command_line):
    program, *words = shlex.split(command_line.removeprefix(".venv/bin/"))
    name, *rest = ["train", *words[1:]] if program == "python" else words
    assert name in COMMANDS, f"there is no command {name}"
    flags = COMMANDS[name].flags()
    known = {flag.name: flag for flag in flags}
    given = read_words(flags, [word for word in rest if word not in HELP])
    for field, value in given.items():
        for text in value if isinstance(value, list) else [value]:
            known[field].reader.check(field, text)
    if name in CONFIGURED:
        config_from({k: v for k, v in given.items() if k not in ("out", "config", "budgets")})


def test_a_mentioned_command_and_its_flags_are_there(mention):
    _, name, *rest = mention.split()
    assert name in COMMANDS, f"there is no command {name}"
    flags = COMMANDS[name].flags()
    known = HELP | {flag.long for flag in flags} | {flag.short for flag in flags}
    assert {word for word in rest if word.startswith("-")} <= known


def test_the_classic_lines_ask_for_what_they_say():
    text = (ROOT / "docs" / "train.md").read_text(encoding="utf-8")
    lines = re.findall(r"^python Trainmain.py (.*)$", text, re.MULTILINE)
    flags = COMMANDS["train"].flags()
    asked = [config_from(read_words(flags, line.split())) for line in lines]
    assert [config.data for config in asked] == ["IP102"] * 3
    assert [config.model for config in asked] == ["resnet"] * 3
    assert [config.optimizer for config in asked] == ["Adam", "Adam", "SGD"]
    assert [config.scheduler for config in asked] == ["steplr", "expdecay", "none"]
    assert [config.weight_decay for config in asked] == [0.01, 0.0001, 0.01]
    assert [config.dropout for config in asked] == [0.5, 0.3, 0.5]
    assert [config.learning_rate for config in asked] == [0.001, 0.001, 0.0001]
    assert [config.epochs for config in asked] == [50, 100, 30]


def test_a_shown_make_target_is_there(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    shown = MAKE.findall(page.read_text(encoding="utf-8"))
    assert {a or b for a, b in shown} <= targets
