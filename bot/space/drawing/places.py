"""Grounds: each draws everything below the sky and says where feet may stand."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import TypeAlias

from bot.space.drawing.ground import fill, ridge, swell
from bot.space.drawing.palette import Palette
from bot.space.drawing.pen import Colour, Pen, Point, darker, lighter, mix
from bot.space.drawing.plants import fir, flower, grass, round_tree, tuft

Place: TypeAlias = Callable[[Pen, Palette, random.Random], float]

GRASS: Colour = (112, 158, 88)
SNOW: Colour = (238, 243, 248)
SAND: Colour = (230, 186, 118)
WATER: Colour = (44, 118, 152)
ROCK: Colour = (96, 106, 134)
PINE: Colour = (44, 92, 80)


def mountains(pen: Pen, palette: Palette, rng: random.Random) -> float:
    """Three ranges, snow on the far one, and a meadow."""
    _peaks(pen, palette, rng)
    for distance, base, height in ((0.5, 0.66, 0.10), (0.28, 0.74, 0.07)):
        fill(pen, ridge(rng, base, height, 0.5), palette.lit(PINE, distance))
    fill(pen, swell(rng, 0.80, 0.015), palette.lit(GRASS, 0.1))
    fill(pen, swell(rng, 0.90, 0.02), palette.lit(darker(GRASS, 0.12)))
    grass(pen, palette.lit(darker(GRASS, 0.3)), rng, 0.92)
    return 0.87


def _peaks(pen: Pen, palette: Palette, rng: random.Random) -> None:
    for distance, base in ((0.62, 0.60), (0.42, 0.66)):
        rock = palette.lit(ROCK, distance)
        ice = palette.lit(SNOW, distance * 0.6)
        x = rng.uniform(-0.1, 0.05)
        while x - 0.05 < 1:
            width, height = rng.uniform(0.24, 0.36), rng.uniform(0.22, 0.36)
            _peak(pen, rng, (x, base), (width, height), (rock, ice))
            x += width * 0.55
        fill(pen, [(0.0, base - 0.01), (1.0, base - 0.01)], rock)


def _peak(
    pen: Pen, rng: random.Random, foot: Point, size: Point, colours: tuple[Colour, Colour]
) -> None:
    """One mountain with a lit and a shaded side and a cap of snow."""
    (x, base), (width, height), (rock, ice) = foot, size, colours
    top = (x + width * rng.uniform(-0.06, 0.06), base - height)
    left, right = (x - width / 2, base), (x + width / 2, base)
    pen.shape([left, top, right], rock)
    pen.shape([top, right, (top[0] + width * 0.04, base)], darker(rock, 0.18))

    def along(end: Point, share: float) -> Point:
        return (top[0] + (end[0] - top[0]) * share, top[1] + (end[1] - top[1]) * share)

    cap = [top, along(right, 0.34)]
    for index in range(1, 6):
        a, b = along(right, 0.34), along(left, 0.30)
        t = index / 6
        drop = height * (0.07 if index % 2 else -0.05) * rng.uniform(0.7, 1.2)
        cap.append((a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t + drop))
    pen.shape([*cap, along(left, 0.30)], ice)


def meadow(pen: Pen, palette: Palette, rng: random.Random) -> float:
    """Rolling hills with round trees."""
    for distance, base, height in ((0.62, 0.60, 0.05), (0.42, 0.67, 0.04), (0.22, 0.75, 0.03)):
        line = swell(rng, base, height)
        colour = palette.lit(mix(GRASS, PINE, 0.25), distance)
        for x, y in rng.sample(line[4:-4], 5):
            round_tree(pen.at(x, y + 0.005, 0.09 * (1.2 - distance)), darker(colour, 0.22))
        fill(pen, line, colour)
    fill(pen, swell(rng, 0.86, 0.02), palette.lit(GRASS, 0.05))
    grass(pen, palette.lit(darker(GRASS, 0.25)), rng, 0.88)
    return 0.86


def garden(pen: Pen, palette: Palette, rng: random.Random) -> float:
    """A meadow in flower."""
    ground = meadow(pen, palette, rng)
    shades = ((232, 92, 96), (244, 186, 72), (236, 138, 168), (250, 240, 224), (148, 108, 186))
    stalk = palette.lit(darker(GRASS, 0.3))
    for row in range(4):
        size = 0.045 + 0.022 * row
        for _ in range(16 - 2 * row):
            place = (rng.random(), 0.86 + 0.05 * row + rng.uniform(-0.015, 0.015))
            flower(pen.at(*place, size), palette.lit(rng.choice(shades)), stalk)
    return ground


def snow(pen: Pen, palette: Palette, rng: random.Random) -> float:
    """Firs and drifts of snow."""
    for distance, base, size in ((0.66, 0.64, 0.13), (0.40, 0.72, 0.2)):
        line = swell(rng, base, 0.03)
        for x, y in rng.sample(line, 12):
            height = size * rng.uniform(0.7, 1.25)
            fir(pen.at(x, y + 0.01, height), palette.lit(PINE, distance), palette.lit(SNOW, 0.2))
        fill(pen, line, palette.lit(SNOW, distance * 0.55))
    fill(pen, swell(rng, 0.80, 0.025, 1.0), palette.lit(SNOW, 0.1))
    fill(pen, swell(rng, 0.93, 0.025, 0.8), palette.lit(lighter(SNOW, 0.5)))
    return 0.86


def forest(pen: Pen, palette: Palette, rng: random.Random) -> float:
    """Firs behind firs, the far ones in haze."""
    layers = ((0.72, 0.66, 0.26), (0.5, 0.72, 0.34), (0.28, 0.78, 0.4))
    for distance, base, size in layers:
        line = swell(rng, base, 0.015)
        colour = palette.lit(PINE, distance)
        for x, y in rng.sample(line, 15):
            fir(pen.at(x, y + 0.02, size * rng.uniform(0.7, 1.15)), colour)
        fill(pen, line, colour)
    fill(pen, swell(rng, 0.85, 0.012), palette.lit(mix(GRASS, PINE, 0.45), 0.05))
    grass(pen, palette.lit(darker(PINE, 0.25)), rng, 0.9)
    return 0.87


def desert(pen: Pen, palette: Palette, rng: random.Random) -> float:
    """Dunes with a shaded side."""
    fill(pen, ridge(rng, 0.62, 0.08, 0.45), palette.lit((176, 122, 104), 0.55))
    for distance, base, height in ((0.4, 0.68, 0.05), (0.2, 0.78, 0.05), (0.0, 0.88, 0.04)):
        line = swell(rng, base, height, 0.9)
        sand = palette.lit(SAND, distance)
        fill(pen, line, sand)
        crest = min(range(len(line)), key=lambda i, line=line: line[i][1])  # type: ignore[misc]
        top = line[crest]
        pen.shape(
            [*line[crest:], (1.0, 1.01), (top[0] - 0.22, 1.01), (top[0] - 0.03, top[1] + 0.1)],
            darker(sand, 0.10),
        )
    for _ in range(9):
        tuft(pen.at(rng.random(), rng.uniform(0.86, 0.98), 0.03), palette.lit((134, 124, 78)))
    return 0.86


def sea(pen: Pen, palette: Palette, rng: random.Random) -> float:
    """Open water with the light of the sky on it, and a strip of beach."""
    horizon = 0.60
    deep = mix(palette.lit(WATER), palette.sky[0], 0.35)
    near = mix(deep, palette.sky[len(palette.sky) // 2], 0.12)
    far = mix(deep, palette.haze, 0.55)
    bands = 26
    for band in range(bands):
        y = horizon + 0.42 * (band / bands) ** 1.3
        line = [(x, y + 0.0035 * math.sin(x * 40 + band * 2.2) * band / bands) for x in _across()]
        fill(pen, line, mix(far, near, min(1.0, 1.6 * band / bands)))
    for _ in range(110):
        depth = rng.random() ** 1.6
        y, width = horizon + 0.01 + 0.26 * depth, 0.008 + 0.05 * depth * rng.random()
        glint = mix(palette.haze, palette.orb, 0.5)
        pen.oval((rng.random(), y), (width, 0.0018), glint, alpha=0.16 + 0.3 * rng.random())
    shore = swell(rng, 0.88, 0.015, 0.7)
    fill(pen, [(x, y - 0.012) for x, y in shore], lighter(palette.haze, 0.6))
    fill(pen, shore, palette.lit(lighter(SAND, 0.2)))
    return 0.93


def _across() -> list[float]:
    return [step / 60 for step in range(61)]


STREET = 0.83
"""Where windows end."""


def city(pen: Pen, palette: Palette, rng: random.Random) -> float:
    """Three rows of houses, windows lit when it is dark."""
    rows = ((0.62, 0.80, 0.44), (0.38, 0.82, 0.32), (0.14, 0.85, 0.2))
    for distance, base, height in rows:
        x = -0.02
        while x < 1.0:
            width = rng.uniform(0.06, 0.12)
            top = base - height * rng.uniform(0.45, 1.0)
            wall = palette.lit(mix((88, 96, 128), (150, 108, 110), rng.random()), distance)
            pen.rect((x, top), (x + width, 1.0), wall)
            pen.rect((x + width * 0.72, top), (x + width, 1.0), darker(wall, 0.12))
            _windows(pen, rng, (x, top), width, (wall, palette))
            x += width * rng.uniform(1.0, 1.15)
    fill(pen, [(0.0, 0.85), (1.0, 0.85)], palette.lit((92, 94, 108)))
    fill(pen, [(0.0, 0.865), (1.0, 0.865)], palette.lit((122, 122, 130)))
    return 0.90


def _windows(
    pen: Pen, rng: random.Random, corner: Point, width: float, look: tuple[Colour, Palette]
) -> None:
    wall, palette = look
    lamp = (255, 214, 130)
    across = max(2, int(width / 0.024))
    step = width / across
    y = corner[1] + 0.02
    while y < STREET:
        for index in range(across):
            lit = rng.random() < (0.5 if palette.dark else 0.12)
            colour = lamp if lit else lighter(wall, 0.14)
            x = corner[0] + step * (index + 0.28)
            pen.rect((x, y), (x + step * 0.44, y + 0.014), colour, 0.9)
        y += 0.028


def space(pen: Pen, palette: Palette, rng: random.Random) -> float:
    """The ground of a small planet, others above it."""
    shades = ((206, 128, 108), (120, 172, 190), (196, 164, 214), (222, 184, 120))
    first, second = rng.sample(shades, 2)
    _planet(pen.at(rng.uniform(0.12, 0.3), rng.uniform(0.24, 0.4), rng.uniform(0.07, 0.11)), first)
    pen.disc((rng.uniform(0.7, 0.9), rng.uniform(0.1, 0.3)), rng.uniform(0.03, 0.05), second)
    soil = mix((152, 112, 134), palette.sky[0], 0.25)
    pen.oval((0.5, 1.72), (1.15, 0.9), soil)
    for _ in range(12):
        size = rng.uniform(0.012, 0.04)
        x = rng.random()
        y = rng.uniform(0.9, 0.98)
        pen.oval((x, y), (size, size * 0.35), darker(soil, 0.22))
        pen.oval((x, y + size * 0.07), (size * 0.86, size * 0.26), darker(soil, 0.1))
    return 0.88


def _planet(pen: Pen, colour: Colour) -> None:
    """A planet of radius 1 with a ring, the far half of which it hides."""
    rim = [(math.cos(math.pi * step / 30), math.sin(math.pi * step / 30)) for step in range(31)]
    tilt = math.radians(-18)

    def ring(sign: int) -> list[Point]:
        outer = [(1.8 * x, sign * 0.3 * y) for x, y in rim]
        inner = [(1.35 * x, sign * 0.18 * y) for x, y in reversed(rim)]
        return [
            (x * math.cos(tilt) - y * math.sin(tilt), x * math.sin(tilt) + y * math.cos(tilt))
            for x, y in [*outer, *inner]
        ]

    pen.shape(ring(-1), lighter(colour, 0.4))
    pen.disc((0, 0), 1, colour)
    pen.blob([(0.3, -0.95), (0.95, -0.3), (0.95, 0.3), (0.3, 0.95), (0.6, 0)], darker(colour, 0.2))
    pen.shape(ring(1), lighter(colour, 0.5))


PLACES: dict[str, Place] = {
    "mountains": mountains,
    "meadow": meadow,
    "garden": garden,
    "snow": snow,
    "forest": forest,
    "desert": desert,
    "sea": sea,
    "city": city,
    "space": space,
}
