"""Pictures as bytes: which ones are taken, and in which form they are sent on.

Everything here is pure and synchronous. Decoding takes up to a second, so callers on an event loop
use a thread.
"""

from bot.image.formats import is_accepted_format
from bot.image.normalising import (
    MAX_BYTES,
    MAX_PIXELS,
    MAX_SIDE,
    NormalisedImage,
    normalise,
    size,
)
from bot.image.sources import ImageSource, to_bytes

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "ImageSource",
    "NormalisedImage",
    "is_accepted_format",
    "normalise",
    "size",
    "to_bytes",
]
