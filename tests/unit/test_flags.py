"""What the words of a command line mean."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacewing.config import TrainConfig, field_names, readers, save_config, shorts
from lacewing.errors import ConfigError
from lacewing.fields import boolean, path, text, whole
from lacewing.flags import Word, config_flags, config_from, flags_of, options_from, read_words
from lacewing.flags_help import show_help

VALUES = {
    "data": "photos",
    "data_root": "there",
    "images": "there/images",
    "val_share": "0.2",
    "test_share": "0.1",
    "sample": "0.1",
    "min_per_class": "20",
    "folds": "5",
    "fold": "2",
    "model": "resnet",
    "pretrained": "no",
    "weights": "w.safetensors",
    "dropout": "0.5",
    "recipe": "features",
    "budget": "10m",
    "optimize": "macro-f1",
    "tta": "both",
    "wise_ft": "0.5",
    "calibrate": "no",
    "optimizer": "SGD",
    "scheduler": "steplr",
    "learning_rate": "1e-3",
    "weight_decay": "0.1",
    "momentum": "0.5",
    "nesterov": "True",
    "step_epochs": "7",
    "gamma": "0.5",
    "warmup_epochs": "2",
    "label_smoothing": "0.1",
    "focal": "2",
    "logit_adjustment": "1",
    "balance": "0.5",
    "ema": "0.999",
    "head_rate": "10",
    "layer_decay": "0.8",
    "gradual_unfreezing": "True",
    "decay_norms": "False",
    "freeze_norms": "True",
    "clip_norm": "1.5",
    "batch_size": "16",
    "accumulate": "True",
    "epochs": "50",
    "limit_epochs": "3",
    "patience": "0",
    "device": "cuda:1",
    "image_size": "96",
    "eval_size": "128",
    "progressive_resizing": "yes",
    "precision": "bf16",
    "memory_format": "channels_last",
    "compile": "default",
    "workers": "0",
    "threads": "2",
    "memory_share": "0.5",
    "tiers": "t.toml",
    "plan": "plan.yaml",
    "trial": "no",
    "plan_budget": "10s",
    "explain": "True",
    "augment": "False",
    "rotation": "30",
    "flip": "off",
    "color_jitter": "0",
    "min_crop": "0.9",
    "trivial_augment": "True",
    "erasing": "0.25",
    "mixup": "0.2",
    "cutmix": "1",
    "output": "elsewhere",
    "name": "first",
    "seed": "7",
    "deterministic": "1",
    "tensorboard": "0",
    "log": "wandb,mlflow",
    "train": "False",
    "evaluate": "False",
    "load_checkpoint": "runs/a",
    "load_model": "runs/b",
    "save_checkpoints": "f",
    "checkpoint_seconds": "9",
    "resume": "auto",
    "accept_changed_data": "True",
    "save_model": "n",
}
"""A value for each field that is not its default."""

CLASSIC = [
    "-data IP102 -optim Adam -sch steplr   -l2 0.01   -do 0.5 -predt True -mn resnet -lr 0.001  "
    "-bz 16 -ep 50  -dv auto",
    "-data IP102 -optim Adam -sch expdecay -l2 0.0001 -do 0.3 -predt True -mn resnet -lr 0.001  "
    "-bz 32 -ep 100 -dv auto",
    "-data IP102 -optim SGD  -sch none     -l2 0.01   -do 0.5 -predt True -mn resnet -lr 0.0001 "
    "-bz 4  -ep 30  -dv auto",
]


def read(*words):
    return read_words(config_flags(), words)


def configure(*words):
    return config_from(read(*words))


def refusal(*words):
    with pytest.raises(ConfigError) as caught:
        configure(*words)
    return str(caught.value)


def test_a_value_stands_here_for_every_field():
    assert set(VALUES) == set(field_names())
    for name, value in VALUES.items():
        assert readers()[name].check(name, value) != getattr(TrainConfig(), name), name


@pytest.mark.parametrize("name", field_names())
def test_every_long_flag_sets_its_field_and_no_other(name):
    flag, value = "--" + name.replace("_", "-"), VALUES[name]
    assert read(flag, value) == {name: value}
    assert read(f"{flag}={value}") == {name: value}
    assert read("--" + name, value) == {name: value}, "underscores do for dashes"


@pytest.mark.parametrize(("name", "short"), shorts().items())
def test_every_classic_flag_sets_its_field(name, short):
    assert read(short, VALUES[name]) == {name: VALUES[name]}
    assert read(f"{short}={VALUES[name]}") == {name: VALUES[name]}


def test_the_classic_flags_are_these_forever():
    assert " ".join(shorts().values()) == (
        "-data -mn -predt -do -optim -sch -lr -l2 -bz -ep -dv "
        "-istra -iseva -isloadck -isloadmd -issavck -issavmd"
    )


@pytest.mark.parametrize(
    ("line", "batch", "epochs", "optimizer", "schedule"),
    [
        (CLASSIC[0], 16, 50, "Adam", "steplr"),
        (CLASSIC[1], 32, 100, "Adam", "expdecay"),
        (CLASSIC[2], 4, 30, "SGD", "none"),
    ],
)
def test_the_classic_command_lines_work_as_written(line, batch, epochs, optimizer, schedule):
    config = configure(*line.split())
    assert (config.data, config.model, config.pretrained) == ("IP102", "resnet", True)
    assert (config.batch_size, config.epochs, config.device) == (batch, epochs, None)
    assert (config.optimizer, config.scheduler) == (optimizer, schedule)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["-predt"], True),
        (["-predt", "-lr", "1"], True),
        (["--pretrained"], True),
        (["--no-pretrained"], False),
        *[(["-predt", word], True) for word in ("True", "true", "TRUE", "yes", "1", "on", "t")],
        *[(["-predt", word], False) for word in ("False", "false", "no", "0", "off", "f", "N")],
        (["-predt=False"], False),
        (["--pretrained=no"], False),
        (["--no_pretrained"], False),
    ],
)
def test_a_switch_in_all_its_spellings(words, value):
    assert configure(*words).pretrained is value


def test_a_value_may_begin_with_a_dash():
    assert read("-lr", "-3", "--name=--odd", "-ep", "5") == {
        "learning_rate": "-3",
        "name": "--odd",
        "epochs": "5",
    }
    assert "above 0, or auto, but it was '-3'" in refusal("-lr", "-3")


def test_the_last_of_two_counts():
    assert read("-ep", "3", "--epochs", "4") == {"epochs": "4"}


def test_auto_means_not_asked():
    words = ("-lr", "auto", "-bz", "AUTO", "-dv", "auto")
    assert configure(*words) == TrainConfig(recipe="auto", batch_size="auto", learning_rate="auto")


def test_a_switch_or_path_takes_either():
    assert configure("-isloadck").load_checkpoint is True
    assert configure("-isloadck", "runs/a").load_checkpoint == Path("runs/a")


def test_flags_win_over_a_file_and_a_file_over_the_defaults(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("epochs: 7\nbatch-size: 8\nscheduler: none\nlearning_rate:\n")
    config = configure("--config", str(file), "-ep", "9")
    assert (config.epochs, config.batch_size, config.scheduler) == (9, 8, "none")
    assert config.learning_rate is None
    assert config.seed == TrainConfig().seed


def test_what_a_run_was_asked_for_can_be_fed_back(tmp_path):
    """`asked.yaml` names every field, classic ones too."""
    asked = configure("--data", "photos", "--budget", "5m", "--seed", "3")
    assert asked.recipe == "auto"
    save_config(asked, tmp_path / "asked.yaml")
    assert configure("--config", str(tmp_path / "asked.yaml")) == asked
    again = configure("--config", str(tmp_path / "asked.yaml"), "--seed", "4")
    assert again == replace(asked, seed=4)
    with pytest.raises(ConfigError, match="--recipe auto chooses --epochs itself"):
        configure("--config", str(tmp_path / "asked.yaml"), "-ep", "9")


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["--epoch", "3"], "There is no flag --epoch; did you mean --epochs"),
        (["-lrr", "3"], "There is no flag -lrr; did you mean -lr"),
        (["-qqqqqqqqq"], "There is no flag -qqqqqqqqq; see --help."),
        (["--no-epochs"], "There is no flag --no-epochs"),
        (["--no-flip=1"], "There is no flag --no-flip"),
        (["photos"], "'photos' belongs to no flag: each value stands after its flag"),
        (["-data", "a", "b"], "'b' belongs to no flag"),
        (["--", "-lr"], "'-lr' belongs to no flag"),
        (["-data"], "-data needs a value (NAME|PATH)"),
        (["-lr", "--epochs", "3"], "-lr needs a value"),
        (["-lr", "-ep", "3"], "-lr needs a value"),
        (["-ep="], "--epochs must be a whole number of at least 1, but it was ''"),
        (["--flip=maybe"], "--flip must be True or False"),
        (["--config", "nowhere.yaml"], "There is no configuration file nowhere.yaml"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(words, fragment):
    text = refusal(*words)
    assert fragment in text
    assert "\n" not in text


@dataclass(frozen=True, kw_only=True)
class Options:
    """A command with words."""

    run: Annotated[Path, path(metavar="RUN"), Word()]
    """The run."""
    paths: Annotated[list[str], text(metavar="PATH"), Word(many=True)]
    """The paths."""
    json: Annotated[bool, boolean()] = False
    """As JSON."""
    top_k: Annotated[int, whole(at_least=1)] = 5
    """How
    many."""


def options(*words):
    return options_from(Options, read_words(flags_of(Options), words))


def test_words_go_to_their_places_around_the_flags():
    expected = Options(run=Path("r"), paths=["a", "b"], json=True, top_k=2)
    assert options("--json", "r", "a", "--top-k", "2", "b") == expected
    assert options("r", "--top-k=2", "a", "--json=True", "b") == expected
    assert options("--no-json", "r", "a").json is False


def test_after_two_dashes_nothing_is_a_flag():
    assert options("r", "--", "--json", "-x").paths == ["--json", "-x"]


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        ([], "RUN is missing: The run."),
        (["r"], "PATH is missing: The paths."),
        (["r", "a", "--top-k", "0"], "--top-k must be a whole number of at least 1"),
        (["r", "a", "--jsn"], "There is no flag --jsn; did you mean --json?"),
        (["r", "a", "--top-k"], "--top-k needs a value (N): How many."),
    ],
)
def test_a_command_with_words_refuses_in_one_sentence(words, fragment):
    with pytest.raises(ConfigError) as caught:
        options(*words)
    assert fragment in str(caught.value)


@dataclass(frozen=True, kw_only=True)
class OneWord:
    """A command with one word, that need not be given."""

    name: Annotated[str | None, text(optional=True), Word()] = None
    """The name."""


def test_a_word_need_not_be_given_but_is_not_given_twice():
    assert options_from(OneWord, read_words(flags_of(OneWord), [])).name is None
    assert options_from(OneWord, read_words(flags_of(OneWord), ["a"])).name == "a"
    with pytest.raises(ConfigError, match="'b' is one word too many; see --help"):
        read_words(flags_of(OneWord), ["a", "b"])


SPELLINGS = [flag.long for flag in config_flags()] + list(shorts().values())
WORDS = st.sampled_from([*SPELLINGS, "--", "-", "--=", "=", "", "--no-", "-l", "x", "-1"])


@given(st.lists(WORDS | st.text(max_size=5), max_size=8), st.booleans())
def test_any_words_are_read_or_refused_in_one_sentence(words, placed):
    try:
        given = read_words(flags_of(Options) if placed else config_flags(), words)
    except ConfigError as error:
        assert str(error).endswith((".", "?"))
    else:
        assert all(isinstance(value, str | list) for value in given.values())


def test_the_help_names_every_flag_and_its_default(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        show_help(config_flags(), "lacewing train", "Trains.")
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    words = set(shown.replace(",", " ").split())
    for flag in config_flags():
        assert flag.long in words
        assert not flag.short or flag.short in words
    assert "the optimiser" in shown
    assert "(default: 0.15)" in shown


@pytest.mark.parametrize(
    ("words", "recipe"),
    [
        (["-data", "x"], "auto"),
        (["-data", "x", "-mn", "resnet", "-predt", "True", "-dv", "cpu"], "auto"),
        (["-data", "x", "-ep", "10"], "classic"),
        (["-data", "x", "-lr", "0.1"], "classic"),
        (CLASSIC[2].split(), "classic"),
        (["-data", "x", "--recipe", "features"], "features"),
        (["-data", "x", "--recipe", "auto"], "auto"),
    ],
)
def test_a_classic_flag_asks_for_just_what_it_says(words, recipe):
    assert configure(*words).recipe == recipe


def test_a_file_with_a_classic_field_is_classic_too(tmp_path):
    (tmp_path / "c.yaml").write_text("data: x\nepochs: 3\n")
    assert configure("--config", str(tmp_path / "c.yaml")).recipe == "classic"


def test_recipe_auto_refuses_a_typed_classic_flag():
    assert refusal("-data", "x", "--recipe", "auto", "-ep", "5") == (
        "--recipe auto chooses --epochs itself: leave one of them out, or use --recipe finetune."
    )
