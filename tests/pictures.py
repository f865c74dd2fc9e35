"""Small pictures in one colour, as files."""

from __future__ import annotations

import io

from PIL import Image


def picture(width: int = 64, height: int = 48, kind: str = "PNG", *, colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, kind)
    return file.getvalue()


def png(colour: str = "red") -> bytes:
    return picture(colour=colour)
