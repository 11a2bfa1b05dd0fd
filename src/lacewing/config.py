"""TrainConfig: what was asked for, one field per flag.

None means "not asked": the plan decides. Every value, from the command line, a YAML file or
a Python call, is read and checked by the field's `Reader`.
"""

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import yaml

from lacewing.contradictions import check_together
from lacewing.errors import ConfigError
from lacewing.fields import (
    Reader,
    boolean,
    duration,
    number,
    number_or_auto,
    one_of,
    path,
    share_or_auto,
    some_of,
    switch_or_path,
    text,
    whole,
    whole_or_auto,
)
from lacewing.parsing import parse_yaml
from lacewing.values import nearest

SECTIONS = {
    "data": "what to train on",
    "model": "the network",
    "recipe": "the recipe",
    "optimizer": "the optimiser",
    "batch_size": "how long, how much",
    "device": "the machine (the plan decides what is not given)",
    "augment": "augmentation",
    "output": "the run",
    "train": "classic switches",
}
"""Titles of the groups of fields, by the first field of each."""

VIEWS = ("auto", "off", "whole", "mirror", "both")
RECIPES = ("auto", "classic", "features", "finetune")
CLASSIC = frozenset(
    (
        "dropout",
        "optimizer",
        "scheduler",
        "learning_rate",
        "weight_decay",
        "momentum",
        "nesterov",
        "step_epochs",
        "gamma",
        "warmup_epochs",
        "label_smoothing",
        "focal",
        "logit_adjustment",
        "balance",
        "ema",
        "freeze_norms",
        "clip_norm",
        "batch_size",
        "accumulate",
        "epochs",
        "limit_epochs",
        "patience",
    )
)
"""Fields that describe the classic training: whoever sets one gets what it says."""
SCHEDULERS = ("none", "steplr", "expdecay", "cosine", "onecycle", "plateau")


@dataclass(frozen=True)
class Short:
    """The classic short name of a flag."""

    flag: str


@dataclass(kw_only=True)
class TrainConfig:
    """Train an image classifier. Only --data is needed; lacewing decides what is not asked."""

    data: Annotated[str | None, text(metavar="NAME|PATH", optional=True), Short("-data")] = None
    """Data set: a folder, a .tar, a .csv, an address of .tar files on a web server, hub:OWNER/NAME,
    or a name (IP102, D0, sample)."""
    data_root: Annotated[Path | None, path(optional=True)] = None
    """Where named data sets lie, besides the current folder, ./data and $LACEWING_DATA."""
    images: Annotated[Path | None, path(optional=True)] = None
    """Folder of the images, where lists or a CSV lie apart from them."""
    val_share: Annotated[float, number(above=0, below=1)] = 0.15
    """Share of the training images that becomes the validation split, where none is given."""
    test_share: Annotated[float, number(at_least=0, below=1)] = 0.15
    """Share of all images that becomes the test split, where none is given."""
    sample: Annotated[float | None, number(above=0, at_most=1, optional=True)] = None
    """A quick look: this share of each class's training and validation images, as in 0.1."""
    min_per_class: Annotated[int | None, whole(at_least=1, optional=True)] = None
    """Least images of a class in a --sample; 10 if not given."""
    folds: Annotated[int | None, whole(at_least=2, optional=True)] = None
    """For small sets: so many runs, each validated on another part of the training and validation
images, and a last one on all of them, which alone is judged on the test split."""
    fold: Annotated[int | None, whole(at_least=0, optional=True)] = None
    """Only this one of the --folds, from 1 on; 0 is the last run, on all images."""

    model: Annotated[str, text(metavar="NAME"), Short("-mn")] = "efficientnet_lite0"
    """Network: a classic name (resnet, fpn, ...), any timm name (see `lacewing models`), or auto:
the best one that is fast enough here."""
    pretrained: Annotated[bool, boolean(), Short("-predt")] = True
    """Start from ImageNet weights."""
    weights: Annotated[Path | None, path(metavar="FILE", optional=True)] = None
    """Start from this .safetensors or .pth file (or run folder) instead."""
    dropout: Annotated[float, number(at_least=0, below=1), Short("-do")] = 0.0
    """Dropout before the head, a probability."""

    recipe: Annotated[str | None, one_of(*RECIPES, optional=True, unset=("none",))] = None
    """auto: the best model for the time; features: a head on frozen features; finetune: that,
then all weights; classic: just what the flags say, the default where one of them is given."""
    budget: Annotated[float | None, duration(optional=True)] = None
    """Time for the whole run, as in 90s, 10m or 2h; the recipe spends it and no more."""
    optimize: Annotated[str, one_of("accuracy", "macro-f1")] = "accuracy"
    """What is made best: the share of right answers, or macro F1, to which every class counts."""
    tta: Annotated[str | None, one_of(*VIEWS, optional=True, unset=())] = None
    """How the finished model looks at an image: off, as in training's validation; the whole frame;
mirrored too, at twice the time; both; auto: the best on validation images. Recipes do auto."""
    wise_ft: Annotated[float | str, share_or_auto()] = "auto"
    """Share of the fine-tuned weights in a mean with those before, after a recipe's fine-tuning; 1:
no mean; auto: the best on validation images."""
    calibrate: Annotated[bool, boolean()] = True
    """Make a recipe's model as sure as it is right: a temperature, fitted to validation images."""

    optimizer: Annotated[str, text(metavar="NAME"), Short("-optim")] = "adamw"
    """Optimiser: SGD, Adam, AdamW, RMSprop, or most of timm's."""
    scheduler: Annotated[str, one_of(*SCHEDULERS), Short("-sch")] = "cosine"
    """Learning-rate schedule."""
    learning_rate: Annotated[float | str | None, number_or_auto(above=0), Short("-lr")] = None
    """Learning rate at the requested batch size, scaled linearly to the effective batch; auto:
measured in a short search."""
    weight_decay: Annotated[float, number(at_least=0), Short("-l2")] = 0.01
    """Weight decay (L2); decoupled with AdamW, coupled to the gradient with Adam and SGD."""
    momentum: Annotated[float, number(at_least=0, below=1)] = 0.9
    """Momentum of SGD and RMSprop."""
    nesterov: Annotated[bool, boolean()] = False
    """Nesterov's momentum, for SGD."""
    step_epochs: Annotated[float, number(above=0)] = 40
    """Epochs between two drops of the steplr schedule."""
    gamma: Annotated[float | None, number(above=0, at_most=1, optional=True)] = None
    """Factor of one drop: 0.1 for steplr and plateau, 0.96 per epoch for expdecay."""
    warmup_epochs: Annotated[float, number(at_least=0)] = 0.0
    """Epochs of linear warm-up, for any schedule."""
    label_smoothing: Annotated[float, number(at_least=0, below=1)] = 0.0
    """Label smoothing of the loss."""
    focal: Annotated[float, number(at_least=0, at_most=10)] = 0.0
    """Gamma of the focal loss, which leaves easy images alone; 0 is plain cross-entropy."""
    logit_adjustment: Annotated[float, number(at_least=0, at_most=3)] = 0.0
    """Strength at which the loss is told how frequent classes are, for long tails; 1 is usual."""
    balance: Annotated[float, number(at_least=0, at_most=1)] = 0.0
    """Show rare classes more often: 0 each image once, 1 all classes alike, 0.5 between."""
    ema: Annotated[float, number(at_least=0, below=1)] = 0.0
    """Judge and keep an average of the weights with this decay, as in 0.999; 0 keeps the last."""
    head_rate: Annotated[float | None, number(above=0, optional=True)] = None
    """Learning rate of the head over that of the rest; without a recipe 10 for a new head on
    pretrained weights where no --learning-rate is given, else 1."""
    layer_decay: Annotated[float, number(above=0, at_most=1)] = 1.0
    """Factor of the learning rate from one layer to the layer before it, so that the first layers
    of pretrained networks change least, as in 0.8; 1: all learn alike."""
    gradual_unfreezing: Annotated[bool, boolean()] = False
    """Let only the last layers learn at first, then more of them from epoch to epoch, and all from
    half of the epochs on."""
    decay_norms: Annotated[bool, boolean()] = True
    """Weight decay also for biases and the scales of norms; not in a recipe's fine-tuning."""
    freeze_norms: Annotated[bool | None, boolean(optional=True)] = None
    """Leave BatchNorm's pretrained statistics alone, which small batches would spoil; auto does
    so in recipes, and for passes of fewer than 32 images."""
    clip_norm: Annotated[float | None, number(above=0, optional=True)] = None
    """Clip the gradient to this norm."""

    batch_size: Annotated[int | str | None, whole_or_auto(at_least=1), Short("-bz")] = None
    """Requested batch size, which the plan fits to the machine; auto: the fastest, as measured."""
    accumulate: Annotated[bool, boolean()] = False
    """Keep the effective batch at the requested one, by gradient accumulation."""
    epochs: Annotated[int, whole(at_least=1), Short("-ep")] = 10
    """Epochs to train."""
    limit_epochs: Annotated[int | None, whole(at_least=1, optional=True)] = None
    """Stop after so many epochs of them; the schedule stays as planned for all."""
    patience: Annotated[int, whole(at_least=0)] = 10
    """Stop after so many epochs without gain on the validation split; 0 never stops early."""

    device: Annotated[str | None, text(metavar="DEVICE", optional=True), Short("-dv")] = None
    """auto, cpu, cuda, cuda:1, mps, xpu or directml."""
    image_size: Annotated[int | None, whole(at_least=16, at_most=4096, optional=True)] = None
    """Side of the network's square input, in pixels."""
    eval_size: Annotated[int | None, whole(at_least=16, at_most=4096, optional=True)] = None
    """Side of the input in validation, test and prediction; as in training if not given."""
    progressive_resizing: Annotated[bool, boolean()] = False
    """Train on smaller images at first, which costs less, and at the full size from two thirds
of the epochs on."""
    precision: Annotated[str | None, one_of("fp32", "tf32", "bf16", "fp16", optional=True)] = None
    """Precision of the forward pass."""
    memory_format: Annotated[str | None, one_of("contiguous", "channels_last", optional=True)] = (
        None
    )
    """Order of a tensor's dimensions in memory."""
    compile: Annotated[
        str | None, one_of("off", "default", "reduce-overhead", "cudagraphs", optional=True)
    ] = None
    """Mode of torch.compile, or its backend cudagraphs."""
    workers: Annotated[int | None, whole(optional=True)] = None
    """Threads that decode images ahead; 0 decodes in the training thread."""
    threads: Annotated[int | None, whole(at_least=1, optional=True)] = None
    """Threads of one operation on the CPU."""
    memory_share: Annotated[float | None, number(above=0, at_most=1, optional=True)] = None
    """Share of the device's memory that the run may use."""
    tiers: Annotated[Path | None, path(metavar="FILE", optional=True)] = None
    """TOML file that overrides the tier table (performance_config.py)."""
    plan: Annotated[Path | None, path(metavar="FILE", optional=True)] = None
    """Carry out exactly this plan.yaml."""
    trial: Annotated[bool, boolean()] = True
    """Measure on this machine what the tiers leave open, before training."""
    plan_budget: Annotated[float | None, duration(optional=True)] = None
    """Time for measuring, as in 10s; a small share of the run's if not given."""
    explain: Annotated[bool, boolean()] = False
    """Show all that was measured, not only what was chosen."""

    augment: Annotated[bool, boolean()] = True
    """Vary the training images."""
    rotation: Annotated[float, number(at_least=0, at_most=180)] = 15.0
    """Largest rotation, in degrees either way."""
    flip: Annotated[bool, boolean()] = True
    """Mirror every other image."""
    color_jitter: Annotated[float, number(at_least=0, at_most=1)] = 0.2
    """Largest relative change of brightness, contrast and saturation."""
    min_crop: Annotated[float, number(above=0, at_most=1)] = 0.5
    """Smallest area of a random resized crop, as a share of the image."""
    trivial_augment: Annotated[bool, boolean()] = False
    """One random change of 14 kinds per image (TrivialAugment), not rotation and colour jitter."""
    erasing: Annotated[float, number(at_least=0, at_most=1)] = 0.0
    """Probability that a rectangle of an image is erased."""
    mixup: Annotated[float, number(at_least=0, at_most=100)] = 0.0
    """Blend pairs of images by Beta(mixup, mixup), for long runs; 0 is off."""
    cutmix: Annotated[float, number(at_least=0, at_most=100)] = 0.0
    """Paste a part of one image into another by Beta(cutmix, cutmix); 0 is off."""

    output: Annotated[Path, path(metavar="FOLDER")] = Path("runs")
    """Folder in which the run folder is made."""
    name: Annotated[str | None, text(metavar="NAME", optional=True)] = None
    """Name of the run folder; <date>-<data>-<model> if not given."""
    seed: Annotated[int, whole()] = 0
    """Seed of every random choice."""
    deterministic: Annotated[bool, boolean()] = False
    """Use deterministic algorithms only (slower on GPUs; the CPU always is)."""
    tensorboard: Annotated[bool, boolean()] = True
    """Write TensorBoard files into the run folder."""
    log: Annotated[str | None, some_of("wandb", "mlflow")] = None
    """Send the figures to Weights & Biases or MLflow too, through their own clients, which must
    be installed and logged in."""
    checkpoint_seconds: Annotated[float, number(at_least=0)] = 60.0
    """Seconds between two checkpoints within an epoch; 0 saves after every step."""
    resume: Annotated[str, one_of("never", "auto")] = "never"
    """auto goes on with the newest unfinished run of this configuration, if there is one."""
    accept_changed_data: Annotated[bool, boolean()] = False
    """Resume although the images are not those that the run began with."""

    train: Annotated[bool, boolean(), Short("-istra")] = True
    """Train."""
    evaluate: Annotated[bool, boolean(), Short("-iseva")] = True
    """Evaluate on the test split at the end."""
    load_checkpoint: Annotated[bool | Path, switch_or_path(), Short("-isloadck")] = False
    """Continue from a checkpoint: a run folder, or True for the newest of this data and model."""
    load_model: Annotated[bool | Path, switch_or_path(), Short("-isloadmd")] = False
    """Start from a trained model: a run folder, or True for the newest of this data and model."""
    save_checkpoints: Annotated[bool, boolean(), Short("-issavck")] = True
    """Save checkpoints while training, so that the run can be resumed."""
    save_model: Annotated[bool, boolean(), Short("-issavmd")] = True
    """Save the best model."""

    @property
    def is_classic(self) -> bool:
        """Whether the flags say how to train, and no recipe."""
        return self.recipe in (None, "classic")

    @property
    def asked_rate(self) -> float | None:
        """The learning rate that was asked for; None if the plan or a search decides it."""
        return None if isinstance(self.learning_rate, str) else self.learning_rate

    def __post_init__(self) -> None:
        for name, reader in readers().items():
            setattr(self, name, reader.check(name, getattr(self, name)))
        check_together(self)


def with_recipe(given: dict[str, Any]) -> dict[str, Any]:
    """What was given, and `recipe`: auto, or classic where a classic field is among it.

    Raises ConfigError where auto was asked for beside a field that it chooses itself.
    """
    asked = {name for name, value in given.items() if str(value).lower() not in ("none", "auto")}
    asked |= {"scheduler"} & given.keys()  # of which "none" is a value
    classic = [name for name in field_names() if name in CLASSIC & asked]
    if classic and str(given.get("recipe")).lower() == "auto":
        raise ConfigError(
            f"--recipe auto chooses --{classic[0].replace('_', '-')} itself: leave one of them "
            "out, or use --recipe finetune."
        )
    if given.get("recipe") is not None:
        return given
    return {**given, "recipe": "classic" if classic else "auto"}


def require_data(config: TrainConfig) -> None:
    """Raise ConfigError where no data set is named."""
    if config.data is None:
        raise ConfigError(
            "--data (-data) is missing: give a folder of images, a .csv, a .tar, IP102, D0 or "
            "sample."
        )


@cache
def readers() -> dict[str, Reader]:
    """The reader of each field, in the order of the fields."""
    return {name: _metadata(name, Reader) for name in field_names()}


@cache
def shorts() -> dict[str, str]:
    """The classic short flag of each field that has one: `{"learning_rate": "-lr"}`."""
    found = {name: _metadata(name, Short) for name in field_names()}
    return {name: short.flag for name, short in found.items() if short}


@cache
def field_names() -> tuple[str, ...]:
    """The names of all fields, in their order."""
    return tuple(field.name for field in fields(TrainConfig))


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(TrainConfig, include_extras=True)


def _metadata(name: str, kind: type) -> Any:
    return next((item for item in _hints()[name].__metadata__ if isinstance(item, kind)), None)


def load_config(file: Path) -> dict[str, Any]:
    """The fields that a YAML file sets. Raises ConfigError for anything else than that."""
    try:
        loaded = parse_yaml(text_of(file))
    except ValueError as error:
        raise ConfigError(f"The configuration file {file} is {error}.") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"The configuration file {file} must hold lines like `epochs: 20`.")
    known = list(field_names())
    result = {}
    for key, value in loaded.items():
        name = str(key).replace("-", "_")
        if name not in known:
            hint = nearest(name, known) or "."
            raise ConfigError(f"The configuration file {file} sets an unknown field {key!r}{hint}")
        result[name] = value
    return result


def text_of(file: Path) -> str:
    """A configuration file's text. Raises ConfigError."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration file {file}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration file {file} can't be read: {error}.") from None


def save_config(config: TrainConfig, file: Path) -> None:
    """Write every field, resolved, as YAML; reading it gives the same configuration."""
    plain = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in ((name, getattr(config, name)) for name in field_names())
    }
    file.write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), encoding="utf-8")
