"""Skies: light, sun and moon, stars, clouds, and what falls from them."""

from __future__ import annotations

import math
import random

from bot.space.drawing.palette import Palette
from bot.space.drawing.pen import Pen, Point, darker, gradient, lighter, mix

GREAT = 0.2
"""Radius from which the sun fills the sky and clouds would hide it."""


def paint_sky(pen: Pen, palette: Palette, rng: random.Random, orb: Point, radius: float) -> None:
    """Fill the whole canvas with sky; the sun or moon stands at `orb`."""
    pen.image.paste(gradient((*palette.sky, palette.haze)), (0, 0))
    if palette.dark:
        stars(pen, rng, 90)
    pen.glow(orb, 0.16 + radius * 1.9, lighter(palette.haze, 0.25), 0.5)
    pen.glow(orb, 0.04 + radius * 1.5, palette.orb, 0.55)
    pen.disc(orb, radius, palette.orb)
    if palette.dark:
        shade = mix(palette.orb, palette.sky[-1], 0.22)
        for dx, dy, size in ((-0.35, -0.2, 0.2), (0.25, 0.35, 0.26), (0.3, -0.35, 0.12)):
            pen.disc((orb[0] + dx * radius, orb[1] + dy * radius), size * radius, shade)
    elif radius < GREAT:
        clouds(pen, palette, rng, 3)


def stars(pen: Pen, rng: random.Random, count: int, bottom: float = 0.7) -> None:
    """Stars between the top and `bottom`, fewer towards it."""
    for _ in range(count):
        place = (rng.random(), rng.random() ** 1.4 * bottom)
        bright = rng.random()
        pen.disc(place, 0.0012 + 0.0018 * bright, (255, 250, 232), 0.45 + 0.5 * bright)
    for _ in range(count // 18):
        sparkle(pen, (rng.random(), rng.random() * bottom * 0.6), rng.uniform(0.008, 0.014))


def sparkle(pen: Pen, centre: Point, size: float) -> None:
    """A star with four points."""
    points = []
    for step in range(8):
        reach = size if step % 2 == 0 else size * 0.2
        angle = math.tau * step / 8
        points.append((centre[0] + reach * math.cos(angle), centre[1] + reach * math.sin(angle)))
    pen.shape(points, (255, 250, 232), 0.9)


def clouds(pen: Pen, palette: Palette, rng: random.Random, count: int) -> None:
    """Flat-bottomed clouds in the upper part of the sky."""
    for index in range(count):
        x = (index + rng.random()) / count
        cloud(pen, palette, rng, (x, rng.uniform(0.08, 0.36)), rng.uniform(0.05, 0.085))


def cloud(pen: Pen, palette: Palette, rng: random.Random, centre: Point, size: float) -> None:
    """One cloud, about four times as wide as `size`."""
    colour = mix(lighter(palette.haze, 0.55), palette.orb, 0.25)
    x, y = centre
    bumps = ((-1.1, 0.42), (-0.45, 0.78), (0.3, 1.0), (1.0, 0.6), (1.5, 0.36))
    outline: list[Point] = []
    for step in range(81):
        across = -2.1 + 4.2 * step / 80
        # The upper edge of overlapping discs that all rest on the same line.
        heights = [
            math.sqrt(max(0.0, radius**2 - (across - middle) ** 2)) for middle, radius in bumps
        ]
        outline.append((x + across * size, y - max(heights) * size * rng.uniform(0.99, 1.01)))
    pen.shape(outline, colour, 0.8)


def snowfall(pen: Pen, rng: random.Random, count: int = 120) -> None:
    """Flakes, near ones large and faint."""
    for _ in range(count):
        near = rng.random() ** 3
        place = (rng.random(), rng.random())
        pen.disc(place, 0.002 + 0.009 * near, (255, 255, 255), 0.85 - 0.45 * near)


def rainfall(pen: Pen, rng: random.Random, count: int = 150) -> None:
    """Slanted rain under a veil of grey."""
    pen.rect((0, 0), (1, 1), (78, 92, 112), 0.18)
    for _ in range(count):
        x, y = rng.uniform(-0.1, 1.0), rng.uniform(-0.1, 1.0)
        length = rng.uniform(0.02, 0.05)
        ends = [(x, y), (x + 0.0022, y), (x + length * 0.3, y + length)]
        pen.shape(ends, (226, 236, 246), 0.5)


def leaves(pen: Pen, rng: random.Random, count: int = 26) -> None:
    """Falling leaves."""
    shades = ((214, 120, 46), (226, 164, 62), (178, 74, 46))
    for _ in range(count):
        size = rng.uniform(0.006, 0.014)
        place = (rng.random(), rng.random())
        colour = darker(rng.choice(shades), rng.random() * 0.15)
        pen.oval(place, (size, size * 0.5), colour, angle=rng.uniform(0, 180), alpha=0.9)


def aurora(pen: Pen, rng: random.Random) -> None:
    """A faint green band across a night sky."""
    start = rng.random() * math.tau
    for layer in range(14):
        points: list[Point] = []
        for step in range(41):
            x = step / 40
            wave = 0.06 * math.sin(start + x * 5) + 0.03 * math.sin(start * 2 + x * 11)
            points.append((x, 0.16 + wave + layer * 0.012))
        points += [(x, y + 0.03) for x, y in reversed(points)]
        pen.shape(points, (110, 226, 180), 0.055)
