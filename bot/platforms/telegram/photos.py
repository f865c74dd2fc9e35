"""Pictures as Telegram takes them: photos of at most 10 MB in JPEG or PNG."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath

from PIL import Image

from bot.files import File

MAX_PHOTO_BYTES = 10_000_000
"""A larger file is taken as a document only (Bot API, `sendPhoto`)."""

_AS_IT_IS = frozenset({"image/jpeg", "image/png"})
_QUALITY = 95
"""Telegram compresses photos again, so a first loss must stay invisible."""


async def as_photos(files: Sequence[File]) -> list[File]:
    """The same pictures in a format that is certainly taken as a photo.

    The Bot API does not promise that WebP is; that and anything else but JPEG and PNG becomes JPEG,
    in a thread. A picture that Pillow cannot read stays as it is.
    """
    return [await asyncio.to_thread(_as_photo, file) for file in files]


def fit_for_photos(files: Sequence[File]) -> bool:
    """Whether none has too many bytes to be a photo."""
    return all(len(file.data) <= MAX_PHOTO_BYTES for file in files)


def _as_photo(file: File) -> File:
    if file.media_type in _AS_IT_IS:
        return file
    jpeg = io.BytesIO()
    try:
        with Image.open(io.BytesIO(file.data)) as picture:
            _flat(picture).save(jpeg, "JPEG", quality=_QUALITY, subsampling=0)
    except (OSError, ValueError, Image.DecompressionBombError):
        return file
    name = PurePath(file.name).with_suffix(".jpg").name
    return replace(file, data=jpeg.getvalue(), name=name, media_type="image/jpeg")


def _flat(picture: Image.Image) -> Image.Image:
    """Without transparency, on white: JPEG has none."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    seen = picture.convert("RGBA")
    ground = Image.new("RGBA", seen.size, "white")
    ground.alpha_composite(seen)
    return ground.convert("RGB")
