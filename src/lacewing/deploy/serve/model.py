"""ServedModel: one network behind many requests."""

import asyncio
import io
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from lacewing.data.batch import normalised_squares
from lacewing.deploy.predict import Predictor
from lacewing.deploy.prediction import Prediction
from lacewing.deploy.serve.answers import ranked
from lacewing.deploy.serve.batching import Batcher
from lacewing.deploy.serve.limits import Limits
from lacewing.deploy.serve.measures import Measures
from lacewing.deploy.serve.uploads import Upload, read_square
from lacewing.results.explain import heat_map, overlay


@dataclass
class ServedModel:
    """Reads pictures in several threads, and computes in one."""

    predictor: Predictor
    limits: Limits
    measures: Measures
    readers: ThreadPoolExecutor = field(init=False)
    computer: ThreadPoolExecutor = field(init=False)
    """One thread: a heat map's hooks must not see another request's pass."""
    batcher: Batcher = field(init=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The threads and the batching, for as long as the server runs."""
        self.readers = ThreadPoolExecutor(self.predictor.threads, "read")
        self.computer = ThreadPoolExecutor(1, "compute")
        self.batcher = Batcher(
            self.predictor.probabilities,
            self.computer,
            size=self.limits.batch,
            wait_seconds=self.limits.wait_seconds,
            on_batch=self.measures.batches.observe,
        )
        work = asyncio.create_task(self.batcher.work())
        try:
            yield
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
            self.readers.shutdown(cancel_futures=True)
            self.computer.shutdown(cancel_futures=True)

    async def predict(self, uploads: list[Upload], top_k: int) -> list[Prediction]:
        """A prediction for each file, in their order; one without a picture has an error."""
        return list(await asyncio.gather(*(self._name(upload, top_k) for upload in uploads)))

    async def explain(self, upload: Upload, label: int | None) -> bytes | str:
        """A PNG of where the network looked for a class, or why there is none, a sentence."""
        square = await self._square(upload)
        if isinstance(square, str):
            return square
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.computer, partial(self._picture, square, label))

    async def _name(self, upload: Upload, top_k: int) -> Prediction:
        square = await self._square(upload)
        if isinstance(square, str):
            return Prediction(Path(upload.name), error=square)
        row = await self.batcher.probabilities(square)
        self.measures.images += 1
        predictor = self.predictor
        return ranked(upload.name, row, predictor.classes, top_k, predictor.none_below)

    async def _square(self, upload: Upload) -> np.ndarray | str:
        read = partial(read_square, upload, self.predictor.preprocessing, self.limits)
        square = await asyncio.get_running_loop().run_in_executor(self.readers, read)
        self.measures.unreadable += isinstance(square, str)
        return square

    def _picture(self, square: np.ndarray, label: int | None) -> bytes:
        predictor = self.predictor
        device = predictor.backend.torch_device(predictor.device_index)
        image = normalised_squares(np.stack([square]), predictor.preprocessing).to(device)
        drawn = overlay(square, heat_map(predictor.model, image, label))
        file = io.BytesIO()
        Image.fromarray(drawn).save(file, "PNG")
        return file.getvalue()
