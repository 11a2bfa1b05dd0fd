"""What a person should look at: mistakes with heat maps, confused pairs, doubtful labels.

It needs the network and the images, so it is gathered when a run is judged and kept in the run
folder, where the report reads it.
"""

import csv
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np

from lacewing.results.camera import Camera
from lacewing.results.evaluate import Judge, Judged
from lacewing.results.examples import confident_mistakes, pair_examples, surprising_mistakes
from lacewing.results.suspects import Suspect, find_suspects
from lacewing.results.tables import confused_pairs
from lacewing.store.atomic import replacing
from lacewing.store.run import Run, write_json

CONFIDENT, SURPRISING, PAIRS, SUSPECTS = 10, 6, 12, 12
"""How many of each are shown."""
COLUMNS = ("path", "split", "label", "suggested", "label_probability", "suggested_probability")
Entry = dict[str, Any]


def gather_evidence(run: Run, judge: Judge, judged: Mapping[str, Judged]) -> None:
    """Write the evidence of judged splits, by name; the last one's mistakes are those shown."""
    if not judged:
        return
    shutil.rmtree(run.evidence_folder, ignore_errors=True)
    run.evidence_folder.mkdir()
    answering = list(judged.values())[-1]
    camera = Camera(run, judge, answering.index)
    found = {name: _suspects_of(one) for name, one in judged.items()}
    write_suspects(run, judged, found)
    evidence = {
        "split": list(judged)[-1],
        "mistakes": mistakes(answering, camera),
        "pairs": pairs(answering, camera),
        "suspects": [
            _suspect(judged[split], one, Camera(run, judge, judged[split].index))
            for split, one in worst(found)[:SUSPECTS]
        ],
        "suspected": sum(len(ones) for ones in found.values()),
        "judged": sum(len(one.index) for one in judged.values()),
        "no_memory_for_heat": camera.is_full,
    }
    write_json(run.evidence, evidence)


def mistakes(judged: Judged, camera: Camera) -> list[Entry]:
    """The most confident wrong answers, and the most surprising of the others."""
    labels, chances = judged.index.column("label"), judged.probabilities
    sure = confident_mistakes(chances, labels, CONFIDENT)
    odd = surprising_mistakes(chances, labels, sure, SURPRISING)
    kinds = [("confident", row) for row in sure] + [("surprising", row) for row in odd]
    return [{"kind": kind, **_mistake(judged, row, camera)} for kind, row in kinds]


def _mistake(judged: Judged, row: int, camera: Camera) -> Entry:
    label, chances = int(judged.index.column("label")[row]), judged.probabilities[row]
    answer = int(chances.argmax())
    return {
        "path": _path(judged, row),
        "true": judged.index.classes[label],
        "predicted": judged.index.classes[answer],
        "confidence": float(chances[answer]),
        "own": float(chances[label]),
        "picture": camera.picture(row),
        "heat": camera.heat(row, answer),
    }


def pairs(judged: Judged, camera: Camera) -> list[Entry]:
    """An example of each frequent confusion beside one of the class it was taken for."""
    labels, chances, classes = (
        judged.index.column("label"),
        judged.probabilities,
        judged.index.classes,
    )
    found = []
    for pair in confused_pairs(judged.figures.confusion, classes, PAIRS):
        numbers = classes.index(pair["true"]), classes.index(pair["taken_for"])
        confused, right = pair_examples(chances, labels, numbers)
        pictures = camera.picture(confused), None if right is None else camera.picture(right)
        found.append({**pair, "picture": pictures[0], "beside": pictures[1]})
    return found


def worst(found: Mapping[str, list[Suspect]]) -> list[tuple[str, Suspect]]:
    """Split and suspect, the largest margin first."""
    every = [(split, one) for split, ones in found.items() for one in ones]
    return sorted(every, key=lambda entry: entry[1].own - entry[1].other)


def write_suspects(
    run: Run, judged: Mapping[str, Judged], found: Mapping[str, list[Suspect]]
) -> None:
    """Every image whose label is likely wrong as a row of a CSV."""
    with (
        replacing(run.suspects) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for split, one in worst(found):
            row = _suspect(judged[split], one, None)
            writer.writerow({name: row[name] for name in COLUMNS})


def _suspects_of(judged: Judged) -> list[Suspect]:
    return find_suspects(judged.probabilities, judged.index.column("label").astype(np.int64))


def _suspect(judged: Judged, one: Suspect, camera: Camera | None) -> Entry:
    classes = judged.index.classes
    return {
        "path": _path(judged, one.row),
        "split": judged.index.table.column("split")[one.row].as_py(),
        "label": classes[judged.index.column("label")[one.row]],
        "suggested": classes[one.suggested],
        "label_probability": round(one.own, 6),
        "suggested_probability": round(one.other, 6),
        "picture": None if camera is None else camera.picture(one.row),
    }


def _path(judged: Judged, row: int) -> str:
    return str(judged.index.table.column("path")[row].as_py())
