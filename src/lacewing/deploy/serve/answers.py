"""What the API answers, with the types that its OpenAPI document shows."""

from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from lacewing.deploy.prediction import Prediction


class Guess(BaseModel):
    """A class and its probability."""

    name: str = Field(alias="class")
    probability: float


class Result(BaseModel):
    """What the model sees on one picture."""

    file: str
    top: list[Guess] = Field(description="The most probable classes, the best first.")
    none_of_these: bool = Field(
        description="Whether even the best class has less than the model's `low_confidence`, so "
        "that the picture may show none of the classes."
    )
    error: str | None = Field(description="Why the file could not be read; `top` is empty then.")


class Answer(BaseModel):
    """A result for each file, in their order."""

    results: list[Result]


class Problem(BaseModel):
    """Why a request failed."""

    error: str


class Card(BaseModel):
    """What is served."""

    model: str
    classes: list[str]
    accuracy: float | None = Field(description="Top-1 on the run's test split, 0 to 1.")
    image_size: int = Field(description="Side in pixels of the square that the model sees.")
    low_confidence: float
    file_bytes: int = Field(description="The largest file that is accepted.")
    files: int = Field(description="The most files of one request.")


def result(prediction: Prediction) -> Result:
    """A prediction, or its error, as it is sent."""
    guesses = [
        Guess.model_validate({"class": name, "probability": probability})
        for name, probability in zip(prediction.classes, prediction.probabilities, strict=True)
    ]
    return Result(
        file=str(prediction.path),
        top=guesses,
        none_of_these=prediction.none_of_these,
        error=prediction.error,
    )


def ranked(
    file: str, row: np.ndarray, classes: tuple[str, ...], top_k: int, none_below: float
) -> Prediction:
    """The `top_k` best classes of probabilities float32 [classes], the best first.

    Where even the best has less than `none_below`, it may be none of them.
    """
    best = np.argsort(-row, kind="stable")[:top_k]
    names = tuple(classes[label] for label in best)
    return Prediction(
        Path(file),
        names,
        tuple(float(row[label]) for label in best),
        none_of_these=bool(row[best[0]] < none_below),
    )
