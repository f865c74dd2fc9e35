"""The bytes of a picture, in whatever form it is passed in."""

from __future__ import annotations

import base64
import binascii
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, Union, cast
from urllib.parse import unquote_to_bytes

from bot.errors import ImageUnreadable

if TYPE_CHECKING:
    from PIL import Image

ImageSource: TypeAlias = Union[
    bytes, bytearray, memoryview, str, os.PathLike[str], BinaryIO, "Image.Image"
]
"""Every form in which a picture may be passed in; a `str` is a data URL or a path."""


def to_bytes(source: ImageSource) -> bytes:
    """The bytes of a picture, wherever it is.

    Args:
        source: the bytes themselves, a data URL, a path, a file open for reading bytes, or an
            image of Pillow, which becomes a PNG. A seekable file is left at the position it had,
            because another Space may be asked with it.

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
    # If Pillow was never imported, this is not one of its images; importing it takes memory.
    if (pillow := sys.modules.get("PIL.Image")) and isinstance(source, pillow.Image):
        return _from_pillow(source)
    return _from_file(cast("BinaryIO", source))


def _from_pillow(image: Image.Image) -> bytes:
    from bot.image.normalising import opaque_or_alpha  # noqa: PLC0415 - Pillow is there already

    buffer = io.BytesIO()
    opaque_or_alpha(image).save(buffer, "PNG")
    return buffer.getvalue()


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
