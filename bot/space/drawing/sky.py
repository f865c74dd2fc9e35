"""Skies: light, sun and moon, stars, clouds, and what falls from them."""

from __future__ import annotations

import math
import random

from bot.space.drawing.palette import Palette
from bot.space.drawing.pen import Pen, Point, darker, gradient, lighter, mix


def paint_sky(pen: Pen, palette: Palette, rng: random.Random, orb: Point, radius: float) -> None:
    """Fill the whole canvas with sky; the sun or moon stands at `orb`."""
    pen.image.paste(gradient((*palette.sky, palette.haze)), (0, 0))
    if palette.dark:
        stars(pen, rng, 90)
    pen.glow(orb, radius * 4.2, lighter(palette.haze, 0.25), 0.5)
    pen.glow(orb, radius * 2.2, palette.orb, 0.55)
    pen.disc(orb, radius, palette.orb)
    if palette.dark:
        shade = mix(palette.orb, palette.sky[-1], 0.22)
        for dx, dy, size in ((-0.35, -0.2, 0.2), (0.25, 0.35, 0.26), (0.3, -0.35, 0.12)):
            pen.disc((orb[0] + dx * radius, orb[1] + dy * radius), size * radius, shade)
    elif radius < 0.2:
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
    outline: list[Point] = [(x - 2.1 * size, y)]
    tops = (0.45, 0.85, 1.1, 0.7, 0.4)
    for index, top in enumerate(tops):
        left = x + (-1.7 + 0.7 * index) * size
        for step in range(9):
            angle = math.pi * (1 + step / 8)
            height = top * rng.uniform(0.98, 1.02)
            outline.append(
                (left + 0.52 * size * math.cos(angle), y + height * size * math.sin(angle))
            )
    outline.append((x + 2.0 * size, y))
    pen.shape(outline, colour, 0.78)
    pen.oval((x, y), (2.15 * size, 0.16 * size), colour, alpha=0.78)


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
