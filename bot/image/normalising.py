"""Pictures made fit to be stored and sent on, with Pillow.

What people send is decoded in a process of its own (`bot.image.worker`), so an unexpected exception
of Pillow's costs one picture and does the bot no harm.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import BinaryIO

from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from bot.errors import ImageTooLarge, ImageUnreadable
from bot.files import File
from bot.image.formats import WANTED, is_accepted_format

MAX_SIDE = 1024
"""Pixels. The Space's encoder sees 384; more than this only costs time in transit."""
MAX_BYTES = 20 * 1024 * 1024
"""What Telegram lets a bot download, and more than Discord lets most people send."""
MAX_PIXELS = 50_000_000
"""A little more than the largest photo of a 50-megapixel phone; 200 MB once decoded."""

DAMAGED = "The picture is damaged or not complete. Try sending it again."

_JPEG_QUALITY = 92
_MAX_PNG_BYTES = 512 * 1024
"""A PNG larger than this is as good as a photograph, and goes out as JPEG."""

OPENERS: dict[str, Callable[[BinaryIO], ImageFile]] = {
    "image/jpeg": JpegImageFile,
    "image/png": PngImageFile,
    "image/gif": GifImageFile,
    "image/webp": WebPImageFile,
    "image/bmp": BmpImageFile,
}
"""Pillow's readers by media type. `Image.open` would try its other forty formats as well."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation (Exif 2.32, tag 0x0112)."""

BROKEN = (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError)
"""What Pillow's readers raise for most broken files."""


def normalise(
    data: bytes,
    *,
    max_side: int = MAX_SIDE,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
) -> File:
    """Make a picture fit to be stored and sent on.

    Upright (EXIF orientation applied), the first frame of an animation, on white where it was
    transparent, at most `max_side` pixels wide and high, without any metadata: no place, no
    camera, no comment. A JPEG stays a JPEG; anything else is lossless unless that takes more than
    512 KiB. The same bytes give the same result.

    Args:
        data: the file as it arrived.
        max_side: pixels; larger pictures are made smaller, smaller ones are left alone.
        max_bytes: of `data`; more are refused unread.
        max_pixels: width times height as the header states them; more are refused undecoded.

    Raises:
        ImageTooLarge: too many bytes or pixels.
        ImageUnreadable: truncated, broken, or not a picture that the Space can read.
        Exception: whatever else Pillow raises for a broken file; it documents none of it.
    """
    if len(data) > max_bytes:
        raise ImageTooLarge(
            f"The picture has {len(data) / 1e6:.1f} MB; at most {max_bytes / 1e6:.1f} MB are taken."
        )
    media_type = is_accepted_format(data)
    try:
        with opened(data, max_pixels) as picture:
            plain = _flatten(_decode(picture, max_side))
            plain.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
            return _encode(plain, lossy=media_type == "image/jpeg")
    except MemoryError as error:
        raise ImageTooLarge("The picture is too large to be decoded here.") from error
    except BROKEN as error:
        raise ImageUnreadable(DAMAGED) from error


def opened(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageFile:
    """A picture of which only the header is read. Raises as `normalise`."""
    picture = OPENERS[is_accepted_format(data)](io.BytesIO(data))
    _refuse_bombs(picture, max_pixels)
    return picture


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
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except (*BROKEN, KeyError, TypeError):
        orientation = None  # the pixels are fine; only the EXIF data is broken
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _encode(image: Image.Image, *, lossy: bool) -> File:
    buffer = io.BytesIO()
    if not lossy:
        image.save(buffer, "PNG")
        if buffer.tell() <= _MAX_PNG_BYTES:
            return File(buffer.getvalue(), "image/png")
        buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return File(buffer.getvalue(), "image/jpeg")


def _flatten(image: Image.Image) -> Image.Image:
    """RGB on white, as a new image, so that nothing of the file's `info` is carried over."""
    image = opaque_or_alpha(image)
    plain = Image.new("RGB", image.size, "white")
    plain.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    return plain


def opaque_or_alpha(image: Image.Image) -> Image.Image:
    """The image as RGBA if any of it can be transparent, else as RGB."""
    if image.mode.startswith("I"):
        # Sixteen bits of grey: `convert` clips at 255 where it should scale.
        image = image.point(lambda value: value * (1 / 257)).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
