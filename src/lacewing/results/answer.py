"""The report's first lines: what was trained, how good it is, where, how long, what was decided."""

import shlex
from collections import Counter
from typing import Any

from lacewing.config import TrainConfig, field_names
from lacewing.planning.document import show
from lacewing.results.course import best_row, epochs_done, waiting
from lacewing.results.pieces import Pieces
from lacewing.values import format_bytes, format_seconds

SPLITS = {"test": "test", "val": "validation"}
SOURCES = {
    "user": "asked for",
    "measured": "measured on this machine",
    "rule": "by rule",
    "fallback": "a fallback",
}

CHOSEN_ON = "These are the images the best epoch was chosen on: expect a little less on new ones."
TILES = {
    "top1": ("Top-1", "the first answer is right", ".1%"),
    "top3": ("Top-3", "right among the first three", ".1%"),
    "top5": ("Top-5", "right among the first five", ".1%"),
    "f1": ("Macro F1", "every class counts the same", ".1%"),
    "recall": ("Macro recall", "mean share of a class that is found", ".1%"),
    "precision": ("Macro precision", "mean share of an answer that is right", ".1%"),
    "geometric_mean": ("Geometric mean", "of the recalls: low if any class is missed", ".1%"),
    "calibration_error": ("Calibration error", "mean gap of confidence and accuracy", ".1%"),
    "loss": ("Loss", "cross-entropy, nats per image", ".3f"),
}
"""Name, explanation and form of each headline figure, by its key in results.json."""


def title(pieces: Pieces) -> str:
    """`resnet50 on IP102`."""
    model = pieces.config.get("model", "a network")
    data = pieces.dataset.get("name") or pieces.config.get("data") or "images"
    return f"{model} on {data}"


def verdict(pieces: Pieces) -> str:
    """One sentence: how good, on which images; or how far the run came."""
    figures = pieces.figures
    if figures:
        return (
            f"{figures['top1']:.1%} of {figures['images']:,} {SPLITS[pieces.split]} images are "
            "named right."
        )
    best = best_row(pieces.epochs)
    if best is None:
        return "No epoch is finished yet."
    if best["val_accuracy"] is None:
        return "There were no images to judge it by, so nothing is known of how good it is."
    if not best["epoch"]:
        return (
            f"{best['val_accuracy']:.1%} of the validation images are named right by a head on "
            "frozen features."
        )
    return (
        f"{best['val_accuracy']:.1%} of the validation images are named right after epoch "
        f"{best['epoch']}."
    )


def context(pieces: Pieces) -> list[str]:
    """Sentences that say what the figure is worth."""
    figures = pieces.figures
    if not figures:
        return ["The final evaluation is not there yet."]
    low, high = figures["top1_interval"]
    sentences = [f"With 95% confidence the true share lies between {low:.1%} and {high:.1%}."]
    common = max(figures["classes"], key=lambda one: one["support"])
    sentences.append(
        f"Always answering “{common['name']}”, the most frequent of {len(figures['classes'])} "
        f"classes, would be right for {common['support'] / figures['images']:.1%}."
    )
    missed = [one["name"] for one in figures["classes"] if one["support"] and not one["recall"]]
    if missed:
        plural = "class is" if len(missed) == 1 else "classes are"
        sentences.append(f"{len(missed)} {plural} never recognised (see the classes below).")
    whole = pieces.dataset.get("whole")
    if whole:
        used = pieces.dataset["images"]["train"]
        sentences.append(
            f"This is a quick look: {used:,} of {whole['train']:,} training images were used; "
            "expect more of all of them."
        )
    if pieces.split == "val":
        sentences.append(CHOSEN_ON)
    return sentences


def tiles(pieces: Pieces) -> list[tuple[str, str, str]]:
    """Name, value and explanation of each headline figure."""
    figures = pieces.figures
    if not figures:
        return []
    count = len(figures["classes"])
    # With so few classes these are right by necessity.
    hidden = {"top3"} if count <= 3 else set()
    hidden |= {"top5"} if count <= 5 else set()
    return [
        (name, f"{figures[key]:{form}}", about + between(figures, key, form))
        for key, (name, about, form) in TILES.items()
        if key not in hidden
    ]


def between(figures: dict[str, Any], key: str, form: str) -> str:
    """`"; 95%: 87.0% to 93.0%"`; "" for figures of a version that had no such interval."""
    interval = figures.get(f"{key}_interval")
    if interval is None:
        return ""
    low, high = interval
    return f"; 95%: {low:{form}} to {high:{form}}"


def splits(pieces: Pieces) -> list[dict[str, Any]]:
    """The figures of every split and other data the model was judged on, where there are two."""
    judged = pieces.results.get("splits", {})
    rows = [{**figures, "name": SPLITS.get(name, name)} for name, figures in judged.items()]
    return rows if len(rows) > 1 else []


def facts(pieces: Pieces) -> list[tuple[str, str]]:
    """What and value: the machine, the time, the end of training, the decisions."""
    rows = [
        ("Machine", _machine(pieces)),
        ("Training", _training(pieces)),
        ("Speed", _speed(pieces)),
        ("Forecast", forecast(pieces)),
        ("On all images", on_all_images(pieces)),
        ("Waiting for images", waiting(pieces)),
        ("Decided", _decided(pieces)),
    ]
    return [row for row in rows if row[1]]


def command(pieces: Pieces) -> str:
    """The command line that repeats the run; "" if nothing of it is known."""
    typed = (event.get("command") for event in pieces.events if event.get("kind") == "start")
    first = next(typed, None) or pieces.results.get("command")  # where older versions put it
    if first and not str(first).startswith("lacewing resume"):
        return str(first)
    asked = pieces.asked or pieces.config
    if not asked:
        return ""
    defaults = TrainConfig()
    words = ["lacewing", "train"]
    for name in field_names():
        value, default = asked.get(name), getattr(defaults, name)
        if value is not None and str(value) != str(default):
            words += ["--" + name.replace("_", "-"), str(value)]
    return shlex.join(words)


def _machine(pieces: Pieces) -> str:
    machine = pieces.machine
    if machine is None:
        return ""
    decisions = pieces.trained.get("decisions", {})
    address = decisions.get("device", {}).get("value")
    device = next((d for d in machine.devices if d.address == address), machine.devices[0])
    name = machine.cpu if device.kind == "cpu" and machine.cpu else device.name
    memory = machine.memory.value if device.kind == "cpu" else device.total_bytes
    cores = f"{machine.cores.value} core{'' if machine.cores.value == 1 else 's'}"
    parts = [f"{name} ({device.address})", f"{format_bytes(memory)} of memory" if memory else ""]
    parts += [cores, machine.system, f"torch {machine.torch}" if machine.torch else ""]
    return ", ".join(part for part in parts if part)


def _training(pieces: Pieces) -> str:
    training, epochs = pieces.results.get("training", {}), pieces.epochs
    seconds = training.get("seconds") or sum(row.get("seconds", 0.0) for row in epochs)
    if not epochs and not training:
        return ""
    if not training.get("epochs") and [row["epoch"] for row in epochs] == [0]:
        return f"{format_seconds(seconds)} for a head on frozen features"
    done = training.get("epochs") or epochs_done(epochs)
    asked = pieces.config.get("epochs")
    parts = [f"{format_seconds(seconds)} for {done}{f' of {asked}' if asked else ''} epochs"]
    best = training.get("best_epoch") or (best_row(epochs) or {}).get("epoch")
    parts.append(f"best at epoch {best}" if best else "")
    if training.get("ending") and done != asked:
        parts.append(str(training["ending"]))
    return "; ".join(part for part in parts if part)


def _speed(pieces: Pieces) -> str:
    training, epochs = pieces.results.get("training", {}), pieces.epochs
    last = epochs[-1] if epochs else {}
    speed = training.get("images_per_second") or last.get("images_per_second")
    peaks = [row["peak_bytes"] for row in epochs if row.get("peak_bytes")]
    peak = training.get("peak_bytes") or max(peaks, default=None)
    parts = [f"{speed:,.0f} images per second" if speed else ""]
    parts.append(f"at most {format_bytes(peak)} of memory" if peak else "")
    return ", ".join(part for part in parts if part)


def forecast(pieces: Pieces) -> str:
    """What the trial expected of the epochs and of the run, beside what they took."""
    training = pieces.results.get("training", {})
    expected, taken = training.get("forecast_seconds"), training.get("epochs_seconds")
    if not expected or not taken:
        return ""
    parts = [f"{format_seconds(expected)} expected for the epochs, {format_seconds(taken)} taken"]
    run, judged = training.get("forecast_run_seconds"), training.get("run_seconds")
    if run and judged:
        parts.append(f"with the judging {format_seconds(run)}, {format_seconds(judged)} taken")
    memory, peak = training.get("forecast_peak_bytes"), training.get("peak_bytes")
    if memory and peak:
        parts.append(f"{format_bytes(memory)} of memory expected, {format_bytes(peak)} taken")
    return "; ".join(parts)


def on_all_images(pieces: Pieces) -> str:
    """What the same run without --sample would take; "" for a run that had all images."""
    found = pieces.results.get("all_images")
    if not found:
        return ""
    training = format_seconds(found["training_seconds"])
    judging = format_seconds(found["judging_seconds"])
    return f"the same stages and epochs would take about {training}, and the judging {judging}"


def _decided(pieces: Pieces) -> str:
    decisions = pieces.trained.get("decisions", {})
    if not decisions:
        return ""

    def value(name: str) -> Any:
        return show(name, decisions.get(name, {}).get("value"))

    passes = decisions.get("accumulation", {}).get("value", 1)
    batch = f"batch {value('batch')}" + (f" in {passes} passes" if passes > 1 else "")
    parts = [
        f"{value('image_size')} pixels",
        batch,
        f"{value('precision')} {value('memory_format').replace('_', ' ')}",
        f"learning rate {value('learning_rate')}",
    ]
    sources = Counter(entry.get("source") for entry in decisions.values())
    counted = [f"{sources[word]} {text}" for word, text in SOURCES.items() if sources[word]]
    return f"{', '.join(parts)}. Of {len(decisions)} decisions {', '.join(counted)}."


def state(pieces: Pieces) -> str:
    """A sentence on a run that is not finished; "" for one that is."""
    if "training" in pieces.results:
        return ""
    asked = pieces.config.get("epochs")
    return (
        f"This run is not finished: {epochs_done(pieces.epochs)}"
        f"{f' of {asked}' if asked else ''} epochs are done."
    )
