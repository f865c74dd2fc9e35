"""The light of a picture: its sky, and how it tints everything below."""

from __future__ import annotations

from dataclasses import dataclass

from bot.space.drawing.pen import Colour, mix


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one time of day.

    Attributes:
        sky: from the zenith to the horizon.
        orb: sun or moon.
        tint: what light mixes into every colour.
        strength: how much of `tint`, 0 to 1.
        dark: whether stars are out and windows lit.
    """

    sky: tuple[Colour, ...]
    orb: Colour
    tint: Colour
    strength: float
    dark: bool = False

    @property
    def haze(self) -> Colour:
        """The colour into which far things fade."""
        return self.sky[-1]

    def lit(self, colour: Colour, distance: float = 0.0) -> Colour:
        """A thing's colour in this light; `distance` from 0 (near) to 1 (lost in haze)."""
        return mix(mix(colour, self.tint, self.strength), self.haze, distance)


PALETTES: dict[str, tuple[Palette, ...]] = {
    "day": (
        Palette(
            ((74, 158, 208), (142, 203, 226), (226, 240, 228)),
            (255, 246, 210),
            (255, 244, 214),
            0.10,
        ),
        Palette(
            ((110, 178, 196), (190, 222, 208), (250, 240, 214)),
            (255, 236, 176),
            (255, 236, 190),
            0.16,
        ),
    ),
    "dawn": (
        Palette(
            ((118, 140, 196), (206, 178, 208), (250, 206, 192), (255, 232, 204)),
            (255, 240, 214),
            (244, 196, 196),
            0.24,
        ),
        Palette(
            ((96, 152, 176), (188, 204, 200), (252, 222, 186), (255, 238, 214)),
            (255, 224, 168),
            (250, 214, 180),
            0.22,
        ),
    ),
    "sunset": (
        Palette(
            ((62, 60, 112), (160, 82, 124), (238, 126, 92), (255, 196, 118)),
            (255, 226, 150),
            (214, 96, 84),
            0.28,
        ),
        Palette(
            ((46, 74, 118), (142, 112, 142), (244, 152, 96), (255, 212, 140)),
            (255, 240, 190),
            (226, 122, 78),
            0.26,
        ),
    ),
    "night": (
        Palette(
            ((14, 18, 48), (30, 42, 88), (66, 84, 138)),
            (246, 240, 214),
            (26, 36, 84),
            0.52,
            dark=True,
        ),
        Palette(
            ((16, 28, 50), (28, 66, 94), (82, 132, 142)),
            (240, 246, 226),
            (18, 52, 84),
            0.50,
            dark=True,
        ),
    ),
    "autumn": (
        Palette(
            ((122, 152, 168), (214, 196, 168), (250, 218, 162)),
            (255, 232, 178),
            (228, 146, 66),
            0.28,
        ),
        Palette(
            ((170, 116, 94), (232, 168, 112), (250, 216, 158)),
            (255, 238, 190),
            (206, 110, 54),
            0.30,
        ),
    ),
}

TIMES = ("day", "sunset", "dawn", "night", "autumn")
"""The order in which five pictures go through the day when the prompt names no time."""
