"""From the body of a request to pictures, all in memory: nothing is written to the disk."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from lacewing.data.pixels import central_square, resized
from lacewing.data.preprocess import Preprocessing
from lacewing.data.rgb import decode, known_formats
from lacewing.deploy.serve.limits import Limits

MAX_FIELDS = 10
"""Fields of a form that are no files; none has a meaning here."""


@dataclass(frozen=True)
class Upload:
    """A file as it was sent."""

    name: str
    content: bytes


async def read_uploads(request: Request, limits: Limits) -> list[Upload]:
    """The files of a form. Raises HTTPException 400, 413 or 415 with a sentence."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise HTTPException(
            415,
            "Send pictures as a form (multipart/form-data), as `curl -F files=@photo.jpg` does.",
        )
    parser = MultiPartParser(
        request.headers, request.stream(), max_files=limits.files + 1, max_fields=MAX_FIELDS
    )
    parser.spool_max_size = limits.request_bytes + 1  # never reached: no temporary file
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise HTTPException(413, too_many(limits)) from None
        raise HTTPException(400, f"The form can't be read: {error.message}") from None
    found = [file for _, file in form.multi_items() if isinstance(file, UploadFile)]
    uploads = [Upload(file.filename or "picture", await file.read()) for file in found]
    await form.close()
    check(uploads, limits)
    return uploads


def check(uploads: list[Upload], limits: Limits) -> None:
    """Raise HTTPException for no file, too many files, or one that is too large."""
    if not uploads:
        raise HTTPException(400, "The form holds no file: add pictures to it, as `files`.")
    if len(uploads) > limits.files:
        raise HTTPException(413, too_many(limits))
    for upload in uploads:
        if len(upload.content) > limits.file_bytes:
            raise HTTPException(
                413,
                f"{upload.name} has {len(upload.content) / 1e6:.1f} MB, and "
                f"{limits.file_bytes / 1e6:g} MB is the limit.",
            )


def too_many(limits: Limits) -> str:
    """The sentence for too many files."""
    return f"There are more than {limits.files} files: send them in several requests."


def read_square(upload: Upload, rule: Preprocessing, limits: Limits) -> np.ndarray | str:
    """A picture's central square, uint8 [S, S, 3], or why there is none, a sentence."""
    try:
        with Image.open(io.BytesIO(upload.content), formats=known_formats()) as image:
            width, height = image.size
        if width * height > limits.pixels:
            return (
                f"The picture has {width * height / 1e6:.0f} megapixels, and "
                f"{limits.pixels / 1e6:g} is the limit."
            )
        decoded = decode(io.BytesIO(upload.content), at_least=rule.resize_size)
        return central_square(resized(decoded, rule), rule.image_size)
    except UnidentifiedImageError:
        return "This is no picture: send a JPEG, PNG or WebP file."
    except Image.DecompressionBombError:
        return f"The picture has more than {limits.pixels / 1e6:g} megapixels, which is the limit."
    except (OSError, ValueError, SyntaxError) as error:
        return f"The picture can't be read: {error}."
