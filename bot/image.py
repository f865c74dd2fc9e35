"""Pictures as bytes: which ones are taken, and in which form they are sent on.

Everything here is pure and synchronous. Decoding takes up to a second, so callers on an event loop
use a thread. Nothing of Pillow leaves this module: a picture that cannot be used is an
`ImageError`, whatever Pillow calls it, and Pillow's warnings stay here.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeAlias
from urllib.parse import unquote_to_bytes

from PIL import Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from bot.errors import ImageTooLarge, ImageUnreadable

ImageSource: TypeAlias = (
    bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO | Image.Image
)
"""Every form in which a picture may be handed over; a `str` is a data URL or a path."""

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

_FOREIGN: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftypheic", "a HEIC picture"),
    (4, b"ftypheix", "a HEIC picture"),
    (4, b"ftypmif1", "a HEIF picture"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftyp", "a video"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (0, b"II*\x00", "a TIFF picture"),
    (0, b"MM\x00*", "a TIFF picture"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"PK\x03\x04", "an archive or a document"),
    (0, b"\x1f\x8b", "an archive"),
)
"""Offset, bytes and name of files that people send in place of a picture, first match wins."""

_WANTED = "Send a JPEG, PNG, WebP, GIF or BMP."

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


def is_accepted_format(data: bytes) -> str:
    """The media type of a picture, from its first bytes and nothing else.

    Returns:
        `"image/jpeg"`, `"image/png"`, `"image/gif"`, `"image/webp"` or `"image/bmp"`.

    Raises:
        ImageUnreadable: anything else; the text names what it is, where that is known.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith(b"BM"):
        return "image/bmp"
    if not data:
        raise ImageUnreadable(f"The file is empty. {_WANTED}")
    for offset, magic, name in _FOREIGN:
        if data[offset:].startswith(magic):
            raise ImageUnreadable(f"This is {name}, which the Space cannot read. {_WANTED}")
    raise ImageUnreadable(f"This is not a picture that the Space can read. {_WANTED}")


def to_bytes(source: ImageSource) -> bytes:
    """The bytes of a picture, wherever it is.

    Args:
        source: the bytes themselves, a data URL, a path, a file open for reading bytes, or an
            image of Pillow, which becomes a PNG. A file that can be rewound is left where it was,
            as another Space may be asked with it.

    Raises:
        ImageUnreadable: the file cannot be read, or the data URL is not one.
        TypeError: none of the above.
    """
    match source:
        case bytes():
            return source
        case bytearray() | memoryview():
            return bytes(source)
        case str() if source.startswith("data:"):
            return _from_data_url(source)
        case str() | os.PathLike():
            return _from_path(Path(source))
        case Image.Image():
            buffer = io.BytesIO()
            _opaque_or_alpha(source).save(buffer, "PNG")
            return buffer.getvalue()
    return _from_file(source)


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
        plain = _flatten(upright)
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
        raise ImageUnreadable(f"This is a compressed BMP, which is not taken. {_WANTED}")


def _decode(image: ImageFile, max_side: int) -> Image.Image:
    """The first frame, upright. A JPEG is decoded at the smallest scale that is large enough."""
    image.draft(None, (max_side, max_side))
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except _PILLOW_ERRORS:
        return image  # the pixels are whole; only what EXIF says about them is not


def _flatten(image: Image.Image) -> Image.Image:
    """RGB on white, as a new image so that nothing of the file's `info` is carried along."""
    image = _opaque_or_alpha(image)
    plain = Image.new("RGB", image.size, "white")
    plain.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    return plain


def _opaque_or_alpha(image: Image.Image) -> Image.Image:
    """The image as RGBA if any of it can be transparent, else as RGB."""
    if image.mode.startswith("I"):
        # Sixteen bits of grey: `convert` clips at 255 where it should scale.
        image = image.point(lambda value: value * (1 / 257)).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _encode(image: Image.Image, *, lossy: bool) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    if not lossy:
        image.save(buffer, "PNG")
        if buffer.tell() <= _PNG_BYTES:
            return buffer.getvalue(), "image/png"
        buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue(), "image/jpeg"


def _from_path(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageUnreadable(f"Cannot read {path.name}: {error.strerror or error}.") from error
    except ValueError as error:  # a NUL, which is in no path
        raise ImageUnreadable("This is not the name of a file.") from error


def _from_file(file: BinaryIO) -> bytes:
    if not hasattr(file, "read"):
        raise TypeError(f"a picture cannot be a {type(file).__name__}")
    try:
        seekable = getattr(file, "seekable", lambda: False)
        begin = file.tell() if seekable() else None
        data = file.read()
        if begin is not None:
            file.seek(begin)
    except OSError as error:
        raise ImageUnreadable(f"Cannot read the file: {error.strerror or error}.") from error
    except ValueError as error:
        raise ImageUnreadable("The file is closed, or not open for bytes.") from error
    if not isinstance(data, bytes):
        raise TypeError(f"a picture is bytes, but reading it gave {type(data).__name__}")
    return data


def _from_data_url(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma:
        raise ImageUnreadable("This data URL has no data.")
    data = unquote_to_bytes(body.encode("utf-8", "replace"))
    if not head.endswith(";base64"):
        return data
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ImageUnreadable("The base64 of this data URL is broken.") from error
