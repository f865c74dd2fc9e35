"""Several pictures on one, in a grid."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Final

from PIL import Image

from bot.errors import ImageUnreadable
from bot.files import File
from bot.image.normalising import BROKEN, DAMAGED, opened

_CELL: Final = 320
"""Pixels of a side: five pictures are 976 x 648, which no chat shows larger."""
_MAX_PIXELS: Final = 2048 * 2048
"""Of one picture; what people wait for comes after it in the same process."""
_GAP: Final = 8
_BACKGROUND: Final = "#7f7f7f"
_QUALITY: Final = 80


def contact_sheet(pictures: Sequence[bytes]) -> File:
    """All pictures in as square a grid as they fill, each fitted into its cell; a JPEG.

    Raises:
        ImageTooLarge: one has too many pixels.
        ImageUnreadable: there is none, or one is none.
        Exception: whatever else Pillow raises for a broken file.
    """
    if not pictures:
        raise ImageUnreadable(DAMAGED)
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    step = _CELL + _GAP
    sheet = Image.new("RGB", (columns * step - _GAP, rows * step - _GAP), _BACKGROUND)
    try:
        for number, data in enumerate(pictures):
            with opened(data, _MAX_PIXELS) as picture:
                picture.draft("RGB", (_CELL, _CELL))
                cell = picture.convert("RGB")
            cell.thumbnail((_CELL, _CELL))
            row, column = divmod(number, columns)
            left = column * step + (_CELL - cell.width) // 2
            sheet.paste(cell, (left, row * step + (_CELL - cell.height) // 2))
    except BROKEN as error:
        raise ImageUnreadable(DAMAGED) from error
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=_QUALITY)
    return File(buffer.getvalue(), "image/jpeg")
