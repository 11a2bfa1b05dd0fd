"""Fields of a configuration that contradict each other."""

from typing import Any

from lacewing.errors import ConfigError


def check_together(config: Any) -> None:
    """Raise ConfigError for fields of a TrainConfig that contradict each other."""

    def refuse(condition: object, sentence: str) -> None:
        if condition:
            raise ConfigError(sentence)

    refuse(
        config.load_checkpoint and config.load_model,
        "--load-checkpoint (-isloadck) continues a run and --load-model (-isloadmd) starts a new "
        "one from its weights: give one of them.",
    )
    refuse(
        not config.train and not config.evaluate,
        "With --train False (-istra) and --evaluate False (-iseva) nothing is left to do: "
        "set one of them to True.",
    )
    refuse(
        not config.train and not (config.load_model or config.load_checkpoint),
        "--train False (-istra) evaluates a trained model: say which one with "
        "--load-model RUN (-isloadmd).",
    )
    refuse(
        config.load_model and config.weights,
        "--load-model (-isloadmd) and --weights both say where to start: give one of them.",
    )
    refuse(
        config.load_checkpoint and not config.save_checkpoints,
        "--load-checkpoint (-isloadck) continues a run whose checkpoints are kept: "
        "leave out --save-checkpoints False (-issavck).",
    )
    refuse(
        config.warmup_epochs >= config.epochs,
        f"--warmup-epochs {config.warmup_epochs:g} must be below --epochs {config.epochs}.",
    )
    refuse(
        config.nesterov and config.optimizer.lower() != "sgd",
        f"--nesterov is a kind of SGD's momentum, but --optimizer is {config.optimizer}: "
        "leave it out or use --optimizer sgd.",
    )
    refuse(
        config.nesterov and config.momentum == 0,
        "--nesterov needs a --momentum above 0.",
    )
    asked = [
        f"--{word.replace('_', '-')}"
        for word in ("trivial_augment", "erasing", "mixup", "cutmix")
        if getattr(config, word)
    ]
    refuse(
        asked and not config.augment,
        f"{' and '.join(asked)} vary the training images, but --augment is False: leave that out.",
    )
    refuse(
        config.progressive_resizing and config.compile not in (None, "off"),
        f"--compile {config.compile} makes kernels for one image size, but --progressive-resizing "
        "trains at several: leave one of them out.",
    )
    refuse(
        config.gradual_unfreezing and config.compile not in (None, "off"),
        f"--compile {config.compile} makes kernels for one set of layers that learn, but "
        "--gradual-unfreezing has several: leave one of them out.",
    )
    refuse(
        config.gradual_unfreezing
        and not (config.pretrained or config.weights or config.load_model),
        "--gradual-unfreezing keeps the first layers at first as they were trained, but with "
        "--pretrained False (-predt) they are random: leave it out.",
    )
    refuse(
        config.batch_size == "auto" and not config.trial,
        "--batch-size auto is measured, but --trial is False: leave that out, or name a size.",
    )
    refuse(
        config.min_per_class is not None and config.sample is None,
        "--min-per-class is the least of a --sample, which is not given: give both, as in "
        "--sample 0.1 --min-per-class 10.",
    )
    refuse(
        config.fold is not None and config.fold > (config.folds or 0),
        f"--fold {config.fold} names one of the --folds, of which there are "
        f"{config.folds or 'none'}: give a number up to --folds.",
    )
    refuse(
        config.folds is not None and config.fold is None and not config.evaluate,
        "--folds judges each fold, but --evaluate (-iseva) is False: leave one of them out.",
    )
    auto = config.model == "auto"
    refuse(
        auto and (config.weights or config.load_model),
        "--model auto chooses the network, but --weights and --load-model (-isloadmd) hold those "
        "of one: name it with --model.",
    )
    refuse(
        auto and not config.pretrained,
        "--model auto chooses by how well pretrained weights transfer: leave out --pretrained "
        "False (-predt), or name a network with --model.",
    )
    refuse(
        auto and config.folds is not None,
        "--folds compares runs of one network: find it with `lacewing plan --model auto`, then "
        "name it with --model.",
    )
    refuse(
        config.val_share + config.test_share >= 1,
        f"--val-share {config.val_share:g} and --test-share {config.test_share:g} leave no image "
        "to train on: their sum must be below 1.",
    )
