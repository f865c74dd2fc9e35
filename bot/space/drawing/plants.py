"""Plants. Each stands on its pen's origin and is about one unit high."""

from __future__ import annotations

import math
import random

from bot.space.drawing.pen import Colour, Pen, darker, lighter


def fir(pen: Pen, colour: Colour, snow: Colour | None = None) -> None:
    """A fir of four tiers, with snow on them if a colour for it is given."""
    pen.rect((-0.03, -0.12), (0.03, 0.0), darker(colour, 0.3))
    for tier in range(4):
        bottom, top = -0.08 - 0.2 * tier, -0.46 - 0.18 * tier
        width = 0.3 - 0.06 * tier
        pen.shape([(-width, bottom), (0, top), (width, bottom)], colour)
        pen.shape([(0, top), (width, bottom), (0.04, bottom)], darker(colour, 0.14))
        if snow is not None:
            edge = top + (bottom - top) * 0.5
            pen.shape(
                [
                    (0, top),
                    (width * 0.5, edge),
                    (width * 0.2, edge - 0.03),
                    (0, edge + 0.03),
                    (-width * 0.2, edge - 0.03),
                    (-width * 0.5, edge),
                ],
                snow,
            )


def round_tree(pen: Pen, colour: Colour) -> None:
    """A tree with a round crown."""
    pen.rect((-0.045, -0.4), (0.045, 0.02), darker(colour, 0.35))
    pen.oval((0, -0.64), (0.34, 0.38), colour)
    pen.oval((0.1, -0.56), (0.22, 0.27), darker(colour, 0.12))


def great_tree(pen: Pen, crown: Colour, bark: Colour) -> None:
    """An old tree that is the subject of its picture."""
    pen.blob(
        [
            (-0.16, 0.02),
            (-0.06, -0.1),
            (-0.06, -0.4),
            (-0.2, -0.6),
            (-0.1, -0.6),
            (0, -0.48),
            (0.12, -0.62),
            (0.2, -0.6),
            (0.07, -0.4),
            (0.07, -0.1),
            (0.17, 0.02),
        ],
        bark,
    )
    clumps = (
        (-0.3, -0.62, 0.2),
        (0.3, -0.64, 0.2),
        (-0.16, -0.8, 0.22),
        (0.17, -0.82, 0.22),
        (0.0, -0.7, 0.25),
        (0.0, -0.94, 0.17),
    )
    for x, y, radius in clumps:
        pen.disc((x + 0.025, y + 0.03), radius, darker(crown, 0.16))
    for x, y, radius in clumps:
        pen.disc((x, y), radius * 0.9, crown)
    for x, y, radius in clumps:
        pen.disc((x - radius * 0.25, y - radius * 0.3), radius * 0.5, lighter(crown, 0.14))


def cactus(pen: Pen, colour: Colour) -> None:
    """A cactus with two arms and a flower."""
    pen.line([(0, 0), (0, -0.9)], 0.2, colour)
    pen.line([(0, -0.35), (-0.28, -0.38), (-0.28, -0.66)], 0.13, colour)
    pen.line([(0, -0.5), (0.27, -0.53), (0.27, -0.78)], 0.12, colour)
    for x in (-0.045, 0.045):
        pen.line([(x, -0.04), (x, -0.88)], 0.014, lighter(colour, 0.25))
    for step in range(5):
        angle = math.pi * (1 + step / 4)
        pen.disc((0.06 * math.cos(angle), -1.0 + 0.05 * math.sin(angle)), 0.04, (238, 118, 148))


def flower(pen: Pen, petal: Colour, stalk: Colour) -> None:
    """A flower of six petals."""
    pen.line([(0, 0), (0.03, -0.4), (0, -0.75)], 0.05, stalk)
    pen.oval((0.15, -0.28), (0.17, 0.06), stalk, angle=-32)
    for step in range(6):
        angle = 60 * step
        turn = math.radians(angle)
        centre = (0.17 * math.cos(turn), -0.78 + 0.17 * math.sin(turn))
        pen.oval(centre, (0.17, 0.105), petal, angle=angle)
    pen.disc((0, -0.78), 0.1, (246, 204, 92))


def bloom(pen: Pen, petal: Colour, stalk: Colour) -> None:
    """A great flower with two rings of petals, the subject of its picture."""
    pen.line([(0, 0), (0.03, -0.3), (0, -0.66)], 0.04, stalk)
    for side in (-1, 1):
        pen.oval((side * 0.15, -0.16), (0.18, 0.06), stalk, angle=side * -34)
    for ring, count, reach in ((0.0, 14, 0.25), (0.5, 14, 0.18)):
        for step in range(count):
            angle = 360 * (step + ring) / count
            turn = math.radians(angle)
            centre = (reach * 0.75 * math.cos(turn), -0.68 + reach * 0.75 * math.sin(turn))
            shade = darker(petal, 0.14) if not ring else petal
            pen.oval(centre, (reach * 0.5, reach * 0.2), shade, angle=angle)
    pen.disc((0, -0.68), 0.11, (122, 78, 52))
    for step in range(36):
        turn, reach = step * 2.39996, 0.1 * math.sqrt(step / 36)
        spot = (reach * math.cos(turn), -0.68 + reach * math.sin(turn))
        pen.disc(spot, 0.009, (196, 142, 84))


def tuft(pen: Pen, colour: Colour) -> None:
    """A tuft of grass."""
    for lean in (-0.7, -0.35, 0.0, 0.35, 0.7):
        pen.shape([(-0.12, 0), (lean, -1 + abs(lean) * 0.4), (0.12, 0)], colour)


def grass(pen: Pen, colour: Colour, rng: random.Random, top: float) -> None:
    """Tufts from `top` to the lower edge, larger towards it."""
    for _ in range(60):
        depth = rng.random()
        size = 0.012 + 0.022 * depth
        tuft(pen.at(rng.random(), top + (1.02 - top) * depth, size), colour)
