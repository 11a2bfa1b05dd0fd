"""What the API answers, with the types that its OpenAPI document shows."""

from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from lacewing.deploy.confidence import LOW_CONFIDENCE
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
        description=f"Whether even the best class has less than {LOW_CONFIDENCE:g}, so that the "
        "picture may show none of the classes."
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
        none_of_these=bool(guesses) and guesses[0].probability < LOW_CONFIDENCE,
        error=prediction.error,
    )


def ranked(file: str, row: np.ndarray, classes: tuple[str, ...], top_k: int) -> Prediction:
    """The `top_k` best classes of probabilities float32 [classes], the best first."""
    best = np.argsort(-row, kind="stable")[:top_k]
    names = tuple(classes[label] for label in best)
    return Prediction(Path(file), names, tuple(float(row[label]) for label in best))
