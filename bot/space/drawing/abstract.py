"""Pictures of nothing in particular, for prompts of which no word is known."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from bot.space.drawing.ground import fill, swell
from bot.space.drawing.pen import SIDE, Colour, Pen, darker, gradient, lighter, mix

SCHEMES: tuple[tuple[Colour, ...], ...] = (
    ((38, 70, 83), (42, 157, 143), (233, 196, 106), (244, 162, 97), (231, 111, 81)),
    ((43, 45, 66), (141, 153, 174), (237, 242, 244), (239, 83, 80), (250, 190, 120)),
    ((53, 80, 112), (109, 89, 122), (181, 101, 118), (229, 107, 111), (234, 172, 139)),
    ((22, 50, 79), (34, 116, 165), (131, 197, 190), (237, 246, 249), (255, 180, 120)),
    ((60, 64, 56), (96, 108, 56), (221, 161, 94), (254, 250, 224), (188, 108, 37)),
)


def scheme(rng: random.Random, colour: Colour | None) -> list[Colour]:
    """Five colours that go together, shuffled; around `colour` if one is asked for."""
    colours = list(rng.choice(SCHEMES))
    if colour is not None:
        shades = [darker(colour, 0.45), colour, lighter(colour, 0.35), lighter(colour, 0.7)]
        colours = [*shades, rng.choice(colours)]
    rng.shuffle(colours)
    return colours


def waves(pen: Pen, rng: random.Random, colours: Sequence[Colour]) -> None:
    """Layers of hills that are not hills."""
    sky = lighter(colours[0], 0.7)
    pen.image.paste(gradient((lighter(colours[1], 0.5), sky)), (0, 0))
    pen.disc((rng.uniform(0.25, 0.75), 0.3), rng.uniform(0.12, 0.18), colours[4])
    for layer in range(9):
        shade = mix(sky, colours[layer % 4], 0.25 + 0.085 * layer)
        fill(pen, swell(rng, 0.34 + 0.075 * layer, 0.05, rng.uniform(0.7, 1.5)), shade)


def tiles(pen: Pen, rng: random.Random, colours: Sequence[Colour]) -> None:
    """A grid of quarter circles, discs and rings."""
    count = 6
    pen.rect((0, 0), (1, 1), (246, 240, 228))
    for row in range(count):
        for column in range(count):
            ground, figure, dot = rng.sample(colours, 3)
            tile = pen.at((column + 0.5) / count, (row + 0.5) / count, 1 / count)
            tile.rect((-0.5, -0.5), (0.502, 0.502), lighter(ground, 0.12))
            kind = rng.randrange(4)
            if kind == 0:
                tile.disc((0, 0), 0.42, figure)
                tile.disc((0, 0), 0.2, dot)
            elif kind == 1:
                tile.rect((-0.5, -0.5), (0, 0.5), figure)
                tile.disc((0, 0), 0.25, dot)
            else:
                _quarter(tile, rng.randrange(4), figure, dot)


def _quarter(tile: Pen, corner: int, figure: Colour, dot: Colour) -> None:
    cx, cy = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))[corner]
    for radius, colour in ((1.0, figure), (0.5, dot)):
        arc = [
            (
                cx + radius * math.cos(math.pi / 2 * (corner + step / 24)),
                cy + radius * math.sin(math.pi / 2 * (corner + step / 24)),
            )
            for step in range(25)
        ]
        tile.shape([(cx, cy), *arc], colour)


def orbits(pen: Pen, rng: random.Random, colours: Sequence[Colour]) -> None:
    """Rings around a centre, with something on each."""
    pen.image.paste(gradient((darker(colours[0], 0.75), darker(colours[1], 0.55))), (0, 0))
    centre = (rng.uniform(0.42, 0.58), rng.uniform(0.42, 0.58))
    pen.glow(centre, 0.5, colours[2], 0.5)
    pen.disc(centre, 0.07, lighter(colours[4], 0.3))
    for ring in range(1, 8):
        radius = 0.07 + 0.07 * ring
        path = [
            (
                centre[0] + radius * math.cos(math.tau * step / 120),
                centre[1] + radius * 0.92 * math.sin(math.tau * step / 120),
            )
            for step in range(121)
        ]
        pen.line(path, 0.0022, lighter(colours[ring % 5], 0.25))
        for _ in range(rng.randint(1, 2)):
            pen.disc(rng.choice(path), rng.uniform(0.01, 0.034), colours[rng.randrange(5)])


def petals(pen: Pen, rng: random.Random, colours: Sequence[Colour]) -> None:
    """Translucent discs around a centre, like a flower or a kaleidoscope."""
    pen.rect((0, 0), (1, 1), (248, 242, 232))
    count = rng.choice((6, 8, 10))
    for ring, reach in enumerate((0.34, 0.24, 0.14)):
        for step in range(count):
            angle = math.tau * (step + ring / 2) / count
            centre = (0.5 + reach * math.cos(angle), 0.5 + reach * math.sin(angle))
            radii = (0.2 - 0.045 * ring, 0.1 - 0.02 * ring)
            shade = colours[(step + ring) % 3 + ring % 2]
            pen.oval(centre, radii, shade, angle=math.degrees(angle), alpha=0.62)
    pen.disc((0.5, 0.5), 0.05, colours[4])


def ribbons(pen: Pen, rng: random.Random, colours: Sequence[Colour]) -> None:
    """Bands that sway across the canvas together."""
    pen.image.paste(gradient((lighter(colours[0], 0.75), lighter(colours[1], 0.55))), (0, 0))
    first, second = rng.random() * math.tau, rng.random() * math.tau
    width = 0.05
    for band in range(14):
        top = 0.06 + band * 0.065

        def line(offset: float, top: float = top, band: int = band) -> list[tuple[float, float]]:
            return [
                (
                    x,
                    top
                    + offset
                    + 0.07 * math.sin(first + x * 6 + band * 0.22)
                    + 0.04 * math.sin(second + x * 11 - band * 0.3),
                )
                for x in (step / 60 for step in range(61))
            ]

        colour = colours[band % len(colours)]
        pen.shape([*line(0.012), *reversed(line(width + 0.012))], (30, 30, 50), 0.13)
        pen.shape([*line(0.0), *reversed(line(width))], colour)
        pen.shape([*line(0.0), *reversed(line(width * 0.25))], lighter(colour, 0.25))


KINDS = (waves, tiles, orbits, petals, ribbons)


def paint(pen: Pen, kind: int, rng: random.Random, colour: Colour | None) -> None:
    """One of five kinds; fills the whole of a canvas of `SIDE` pixels."""
    assert pen.scale == SIDE  # noqa: S101 - the kinds fill what they take for the whole canvas
    KINDS[kind % len(KINDS)](pen, rng, scheme(rng, colour))
