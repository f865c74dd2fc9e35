"""Pictures made fit to be stored and sent on.

Nothing of Pillow leaves this module: a picture that cannot be used is an `ImageError`, whatever
Pillow calls it, and Pillow's warnings stay here.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from PIL import Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from bot.errors import ImageTooLarge, ImageUnreadable
from bot.image.formats import WANTED, flatten, is_accepted_format

MAX_SIDE = 1024
"""Pixels. The Space's encoder sees 384; more than this only costs time on the way."""
MAX_BYTES = 20 * 1024 * 1024
"""What Telegram lets a bot download, and more than Discord lets most people send."""
MAX_PIXELS = 50_000_000
"""A little more than the largest photo of a 50-megapixel phone; 200 MB once decoded."""

_JPEG_QUALITY = 92
_PNG_BYTES = 512 * 1024
"""A PNG larger than this is a photograph for all that matters, and goes out as JPEG."""

_OPENERS: dict[str, Callable[[BinaryIO], ImageFile]] = {
    "image/jpeg": JpegImageFile,
    "image/png": PngImageFile,
    "image/gif": GifImageFile,
    "image/webp": WebPImageFile,
    "image/bmp": BmpImageFile,
}
"""Pillow's readers by media type. `Image.open` would try its other forty formats as well."""

_PILLOW_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    AssertionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's readers raise for broken files: found by fuzzing, as it documents none of it."""

_one_at_a_time = threading.Lock()
"""Held while decoding. `catch_warnings` changes the whole process, so two threads must not be in
it at once; and the pixels of only one picture, at most `MAX_PIXELS`, are in memory."""


@dataclass(frozen=True, slots=True)
class NormalisedImage:
    """A picture as it is stored and sent on: upright, opaque, without metadata.

    Attributes:
        data: the file.
        media_type: `"image/jpeg"` or `"image/png"`.
        width: pixels, 1 to the `max_side` asked for.
        height: the same.
    """

    data: bytes = field(repr=False)
    media_type: str
    width: int
    height: int


def size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels as the file's header states them, before any orientation.

    Raises:
        ImageUnreadable: not a picture, or its header is broken.
    """
    with _pillow(), _open(data) as image:
        return image.size


def normalise(
    data: bytes,
    *,
    max_side: int = MAX_SIDE,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
) -> NormalisedImage:
    """Make a picture fit to be stored and sent on.

    Upright (EXIF orientation applied), the first frame of an animation, on white where it was
    transparent, at most `max_side` pixels wide and high, without any metadata: no place, no
    camera, no comment. JPEG in gives JPEG out; the rest stays lossless unless that takes more
    than 512 KiB. The same bytes give the same result.

    Args:
        data: the file as it arrived.
        max_side: pixels; larger pictures are made smaller, smaller ones are left alone.
        max_bytes: of `data`; more are refused unread.
        max_pixels: width times height as the header states them; more are refused undecoded.

    Raises:
        ImageTooLarge: too many bytes or pixels.
        ImageUnreadable: truncated, broken, or not a picture that the Space can read.
    """
    if len(data) > max_bytes:
        raise ImageTooLarge(
            f"The picture has {len(data) / 1e6:.1f} MB; at most {max_bytes / 1e6:.1f} MB are taken."
        )
    with _pillow(), _open(data) as opened:
        _refuse_bombs(opened, max_pixels)
        upright = _decode(opened, max_side)
        plain = flatten(upright)
        plain.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
        encoded, media_type = _encode(plain, lossy=opened.format == "JPEG")
        return NormalisedImage(encoded, media_type, plain.width, plain.height)


@contextmanager
def _pillow() -> Iterator[None]:
    """Translate everything that Pillow may do about a broken file."""
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except MemoryError as error:
            raise ImageTooLarge("The picture is too large to be decoded here.") from error
        except _PILLOW_ERRORS as error:
            raise ImageUnreadable(
                "The picture is damaged or not complete. Try sending it again."
            ) from error


def _open(data: bytes) -> ImageFile:
    """Read the header only."""
    return _OPENERS[is_accepted_format(data)](io.BytesIO(data))


def _refuse_bombs(image: ImageFile, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise ImageTooLarge(
            f"The picture has {image.width} x {image.height} pixels; "
            f"at most {max_pixels / 1e6:g} million are taken."
        )
    if isinstance(image, BmpImageFile) and image.info.get("compression") in {1, 2}:
        # Pillow unpacks run-length BMPs in Python: minutes for a crafted file.
        raise ImageUnreadable(f"This is a compressed BMP, which is not taken. {WANTED}")


def _decode(image: ImageFile, max_side: int) -> Image.Image:
    """The first frame, upright. A JPEG is decoded at the smallest scale that is large enough."""
    image.draft(None, (max_side, max_side))
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except _PILLOW_ERRORS:
        return image  # the pixels are whole; only what EXIF says about them is not


def _encode(image: Image.Image, *, lossy: bool) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    if not lossy:
        image.save(buffer, "PNG")
        if buffer.tell() <= _PNG_BYTES:
            return buffer.getvalue(), "image/png"
        buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue(), "image/jpeg"
