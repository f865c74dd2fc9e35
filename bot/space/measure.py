"""Facts about a picture that need no model: they are counted."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat

SAMPLE = 96
"""Pixels of the side of the reduced picture in which colours are counted."""
EVEN = 6
"""Steps of 255 by which the channels of a picture of one colour may vary, as JPEG makes them."""

_HUES = (
    (12, "red"),
    (42, "orange"),
    (68, "yellow"),
    (160, "green"),
    (195, "turquoise"),
    (255, "blue"),
    (290, "purple"),
    (345, "pink"),
    (361, "red"),
)
"""Where a hue's name ends, in degrees."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured.

    Attributes:
        width: pixels.
        height: pixels.
        colours: names of colours and their shares (0 to 1), largest first; the shares add up to 1.
        brightness: mean of the grey values, 0 (black) to 1 (white).
        contrast: their standard deviation, 0 to 0.5.
        detail: mean strength of edges, 0 to 1.
        symmetry: how much the left half is the mirror of the right one, 0 to 1.
        even: the colour of a picture that has only one.
    """

    width: int
    height: int
    colours: tuple[tuple[str, float], ...]
    brightness: float
    contrast: float
    detail: float
    symmetry: float
    even: tuple[int, int, int] | None

    @property
    def orientation(self) -> str:
        """`"landscape"`, `"portrait"` or `"square"`."""
        if self.width == self.height:
            return "square"
        return "landscape" if self.width > self.height else "portrait"

    @property
    def ratio(self) -> str:
        """The sides' ratio in lowest terms, or empty if nobody would recognise it."""
        divisor = math.gcd(self.width, self.height)
        wide, high = self.width // divisor, self.height // divisor
        return f"{wide}:{high}" if max(wide, high) <= 21 else ""  # noqa: PLR2004 - 21:9 is a format


def measure(image: Image.Image) -> Facts:
    """Measure an RGB picture of any size."""
    width, height = image.size
    small = image.resize((SAMPLE, SAMPLE), Image.Resampling.BOX)
    grey = ImageOps.grayscale(small)
    statistics = ImageStat.Stat(grey)
    edges = grey.filter(ImageFilter.FIND_EDGES).crop((1, 1, SAMPLE - 1, SAMPLE - 1))
    unlike = ImageChops.difference(small, ImageOps.mirror(small))
    return Facts(
        width=width,
        height=height,
        colours=_colours(small),
        brightness=statistics.mean[0] / 255,
        contrast=statistics.stddev[0] / 255,
        detail=ImageStat.Stat(edges).mean[0] / 255,
        symmetry=1 - ImageStat.Stat(ImageOps.grayscale(unlike)).mean[0] / 255,
        even=_even(image),
    )


def _even(image: Image.Image) -> tuple[int, int, int] | None:
    """The one colour of a picture, if it has only one."""
    lows, highs = zip(*ImageStat.Stat(image).extrema, strict=True)
    if any(high - low > EVEN for low, high in zip(lows, highs, strict=True)):
        return None
    red, green, blue = (round(low + high) // 2 for low, high in zip(lows, highs, strict=True))
    return red, green, blue


def _colours(small: Image.Image) -> tuple[tuple[str, float], ...]:
    counts: Counter[str] = Counter()
    for count, pixel in small.convert("HSV").getcolors(SAMPLE * SAMPLE) or ():
        hue, saturation, value = pixel  # type: ignore[misc] # a tuple in this mode
        counts[name(hue * 360 / 255, saturation / 255, value / 255)] += count
    return tuple((colour, count / SAMPLE**2) for colour, count in counts.most_common())


def name(hue: float, saturation: float, value: float) -> str:  # noqa: PLR0911 - one name each
    """A plain word for a colour.

    Args:
        hue: 0 to 360 degrees.
        saturation: 0 to 1.
        value: 0 to 1.
    """
    if value < 0.16:  # noqa: PLR2004 - thresholds of perception, chosen by eye
        return "black"
    if saturation < 0.12:  # noqa: PLR2004 - same
        return _grey(value)
    word = next(word for end, word in _HUES if hue < end)
    pale = saturation < 0.45 and value > 0.7  # noqa: PLR2004 - same
    if word == "orange" and value < 0.68:  # noqa: PLR2004 - dark orange is called brown
        return "brown"
    if word in {"orange", "yellow"} and pale:
        return "beige"
    if word in {"red", "pink"} and pale:
        return "pink"
    if value < 0.42:  # noqa: PLR2004 - same
        return f"dark {word}"
    return f"light {word}" if pale else word


def _grey(value: float) -> str:
    for limit, word in ((0.38, "dark grey"), (0.66, "grey"), (0.9, "light grey")):
        if value < limit:
            return word
    return "white"
