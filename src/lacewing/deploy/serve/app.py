"""The application: the page, the API, and its description."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import lacewing
from lacewing.deploy.output import csv_text
from lacewing.deploy.predict import Predictor
from lacewing.deploy.prediction import Prediction
from lacewing.deploy.serve.answers import Answer, Card, Problem, result
from lacewing.deploy.serve.gate import Gate, problem
from lacewing.deploy.serve.limits import Limits
from lacewing.deploy.serve.measures import Measures
from lacewing.deploy.serve.model import ServedModel
from lacewing.deploy.serve.page import Asset, page_assets
from lacewing.deploy.serve.uploads import read_uploads

HEALTH = "/healthz"
API = (HEALTH, "/metrics", "/model", "/predict", "/predict.csv", "/explain", "/openapi.json")
TopK = Annotated[int, Query(ge=1, le=1000, description="Classes to name for each picture.")]
STRING = {"schema": {"type": "string"}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The form is damaged or holds no file."},
    401: {"model": Problem, "description": "The token is missing or wrong."},
    408: {"model": Problem, "description": "The upload took too long."},
    413: {"model": Problem, "description": "A file is too large, or there are too many."},
    415: {"model": Problem, "description": "The body is no form."},
    422: {"model": Problem, "description": "No file holds a picture, or a parameter is wrong."},
    503: {"model": Problem, "description": "Busy; `Retry-After` says when to come back."},
}


def make_app(
    predictor: Predictor,
    *,
    name: str,
    accuracy: float | None,
    token: str | None = None,
    limits: Limits | None = None,
) -> Gate:
    """The ASGI application of a model called `name`; `accuracy` is its top-1, 0 to 1.

    With a token, everything but the page itself and /healthz asks for it.
    """
    limits = limits or Limits()
    measures = Measures()
    model = ServedModel(predictor, limits, measures)
    card = card_of(predictor, name, accuracy, limits)
    assets = page_assets()
    return Gate(
        application(model, card, assets),
        limits,
        measures,
        known_paths=frozenset((*assets, *API)),
        open_paths=frozenset((*assets, HEALTH)),
        token=token,
    )


def card_of(predictor: Predictor, name: str, accuracy: float | None, limits: Limits) -> Card:
    """What the page must know."""
    return Card(
        model=name,
        classes=list(predictor.classes),
        accuracy=accuracy,
        image_size=predictor.preprocessing.image_size,
        low_confidence=predictor.none_below,
        file_bytes=limits.file_bytes,
        files=limits.files,
    )


def application(model: ServedModel, card: Card, assets: dict[str, Asset]) -> FastAPI:
    """FastAPI with every path."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with model.running():
            yield

    # its own pages of documentation would load scripts from another server
    app = FastAPI(
        title=f"lacewing: {card.model}",
        version=lacewing.__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_exception_handler(HTTPException, told)
    app.add_exception_handler(RequestValidationError, told_invalid)
    app.add_exception_handler(ClientDisconnect, told_nobody)
    app.add_exception_handler(Exception, told_fault)
    for path, asset in assets.items():
        app.add_api_route(path, fixed(asset), include_in_schema=False)
    add_state(app, card, model.measures)
    add_predictions(app, model)
    return app


def fixed(asset: Asset) -> Callable[[], Response]:
    """An endpoint that always answers with the same file."""
    return lambda: Response(asset.content, media_type=asset.media_type)


def add_state(app: FastAPI, card: Card, measures: Measures) -> None:
    """What the server is, and how it does."""

    @app.get(HEALTH)
    async def health() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok"}

    @app.get("/model", responses={401: PROBLEMS[401]})
    async def about() -> Card:
        """The model, its classes, and the server's limits."""
        return card

    @app.get(
        "/metrics",
        responses={401: PROBLEMS[401], 200: {"content": {"text/plain": STRING}}},
        response_class=Response,  # no media type of its own, or a refusal's would seem to be it
    )
    async def metrics() -> PlainTextResponse:
        """Counts and durations for Prometheus."""
        return PlainTextResponse(measures.text(), media_type="text/plain; version=0.0.4")


def form(most: int) -> dict[str, Any]:
    """The description of an upload of at most so many files, which is read by hand."""
    file = {"type": "string", "format": "binary"}
    files = {"type": "array", "minItems": 1, "maxItems": most, "items": file}
    schema = {"type": "object", "required": ["files"], "properties": {"files": files}}
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def add_predictions(app: FastAPI, model: ServedModel) -> None:
    """What is done with pictures."""
    several = form(model.limits.files)
    last = len(model.predictor.classes) - 1
    Label = Annotated[
        int | None, Query(ge=0, le=last, description="Position of a class; by default the best.")
    ]

    async def named(request: Request, top_k: int) -> list[Prediction]:
        predictions = await model.predict(await read_uploads(request, model.limits), top_k)
        if all(one.error for one in predictions):
            raise HTTPException(422, f"{predictions[0].path}: {predictions[0].error}")
        return predictions

    @app.post("/predict", responses=PROBLEMS, openapi_extra=several)
    async def predict(request: Request, top_k: TopK = 5) -> Answer:
        """Name what is on one or several pictures; a file without a picture gets an error."""
        return Answer(results=[result(one) for one in await named(request, top_k)])

    @app.post(
        "/predict.csv",
        responses={**PROBLEMS, 200: {"content": {"text/csv": STRING}}},
        response_class=Response,
        openapi_extra=several,
    )
    async def predict_csv(request: Request, top_k: TopK = 5) -> Response:
        """The same as a table: path, class, confidence, class_2, ..., error."""
        text = csv_text(await named(request, top_k))
        named_file = {"Content-Disposition": 'attachment; filename="predictions.csv"'}
        return Response(text, media_type="text/csv; charset=utf-8", headers=named_file)

    @app.post(
        "/explain",
        responses={**PROBLEMS, 200: {"content": {"image/png": {}}}},
        response_class=Response,
        openapi_extra=form(1),
    )
    async def explain(request: Request, label: Label = None) -> Response:
        """Where the model looked: the picture's square under a heat map (Grad-CAM), a PNG."""
        uploads = await read_uploads(request, model.limits)
        if len(uploads) > 1:
            raise HTTPException(413, "Send one picture at a time to be explained.")
        drawn = await model.explain(uploads[0], label)
        if isinstance(drawn, str):
            raise HTTPException(422, f"{uploads[0].name}: {drawn}")
        return Response(drawn, media_type="image/png")


async def told(_: Request, error: Exception) -> JSONResponse:
    """An HTTP error as {"error": sentence}."""
    assert isinstance(error, HTTPException)
    sentences = {404: "There is no such page.", 405: "That path does not take this method."}
    sentence = sentences.get(error.status_code, error.detail)
    return problem(error.status_code, sentence, dict(error.headers or {}))


async def told_invalid(_: Request, error: Exception) -> JSONResponse:
    """A parameter that can't be read, as {"error": sentence}."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return problem(422, f"{first['loc'][-1]}: {first['msg']}.")


async def told_nobody(_: Request, __: Exception) -> Response:
    """The client went away in the middle of its upload; the status is nginx's for that."""
    return Response(status_code=499)


async def told_fault(_: Request, error: Exception) -> JSONResponse:
    """What nobody expected; uvicorn writes the traceback to the server's log."""
    return problem(500, f"This is a fault of the server ({type(error).__name__}).")
