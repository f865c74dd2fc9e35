"""What the first bytes of a file tell: whether the Space can read such pictures, and their size."""

from __future__ import annotations

import io

from bot.errors import ImageUnreadable

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
"""Offset, bytes and name of other files that people send as pictures; the first match wins."""

WANTED = "Send a JPEG, PNG, WebP, GIF or BMP."
"""What to do about any other file."""


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
        raise ImageUnreadable(f"The file is empty. {WANTED}")
    for offset, magic, name in _FOREIGN:
        if data[offset:].startswith(magic):
            raise ImageUnreadable(f"This is {name}, which the Space cannot read. {WANTED}")
    raise ImageUnreadable(f"This is not a picture that the Space can read. {WANTED}")


def size(data: bytes) -> tuple[int, int] | tuple[None, None]:
    """Width and height in pixels as a picture's header states them, before any orientation.

    `None` where it cannot be read. Nothing is decoded, so this may be asked outside of the worker.
    Blocks while Pillow is imported, with the first picture.
    """
    from bot.image.normalising import BROKEN, OPENERS  # noqa: PLC0415 - Pillow

    try:
        with OPENERS[is_accepted_format(data)](io.BytesIO(data)) as image:
            return image.size
    except (*BROKEN, ImageUnreadable):
        return None, None
