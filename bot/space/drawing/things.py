"""Buildings and vehicles. Each stands on its pen's origin, about one unit high."""

from __future__ import annotations

import math

from bot.space.drawing.pen import CREAM, INK, Colour, Pen, darker, lighter

LAMP: Colour = (255, 220, 140)


def lighthouse(pen: Pen, colour: Colour) -> None:
    """A striped lighthouse on a rock, with its beam."""
    pen.shape([(0.03, -0.88), (1.5, -1.12), (1.5, -0.72)], LAMP, 0.22)
    pen.shape([(-0.03, -0.88), (-1.5, -1.12), (-1.5, -0.72)], LAMP, 0.22)
    pen.blob([(-0.42, 0.04), (-0.3, -0.06), (0, -0.1), (0.28, -0.07), (0.44, 0.04)], (92, 90, 104))
    width = 0.15
    for band in range(5):
        low, high = -0.06 - 0.15 * band, -0.06 - 0.15 * (band + 1)
        a, b = width - 0.013 * band, width - 0.013 * (band + 1)
        shade = colour if band % 2 == 0 else CREAM
        pen.shape([(-a, low), (-b, high), (b, high), (a, low)], shade)
        pen.shape([(b * 0.35, high), (b, high), (a, low), (a * 0.35, low)], darker(shade, 0.14))
    pen.rect((-0.13, -0.83), (0.13, -0.8), INK)
    pen.rect((-0.075, -0.95), (0.075, -0.83), LAMP)
    for x in (-0.075, 0.0, 0.075):
        pen.line([(x, -0.95), (x, -0.83)], 0.012, INK)
    pen.blob([(-0.11, -0.94), (0, -1.06), (0.11, -0.94)], colour)
    pen.blob([(-0.04, -0.07), (-0.04, -0.16), (0.04, -0.16), (0.04, -0.07)], INK)


def house(pen: Pen, colour: Colour) -> None:
    """A cottage with lit windows and smoke."""
    for step in range(5):
        pen.disc(
            (0.24 + 0.03 * step, -0.86 - 0.1 * step),
            0.035 + 0.014 * step,
            (255, 255, 255),
            0.5 - 0.08 * step,
        )
    pen.rect((0.18, -0.84), (0.29, -0.5), darker(colour, 0.4))
    pen.rect((-0.4, -0.46), (0.4, 0.0), CREAM)
    pen.rect((0.22, -0.46), (0.4, 0.0), darker(CREAM, 0.12))
    pen.shape([(-0.5, -0.44), (0, -0.84), (0.5, -0.44)], colour)
    pen.shape([(0.18, -0.44), (0, -0.84), (0.5, -0.44)], darker(colour, 0.16))
    pen.rect((-0.07, -0.26), (0.08, 0.0), darker(colour, 0.45))
    pen.disc((0.05, -0.13), 0.012, LAMP)
    for x in (-0.3, 0.16):
        pen.rect((x, -0.32), (x + 0.15, -0.16), LAMP)
        pen.line([(x + 0.075, -0.32), (x + 0.075, -0.16)], 0.012, darker(colour, 0.4))
        pen.line([(x, -0.24), (x + 0.15, -0.24)], 0.012, darker(colour, 0.4))


def castle(pen: Pen, colour: Colour) -> None:
    """A castle of four towers with pennants."""
    stone = (206, 200, 206)
    towers = ((-0.4, 0.12, -0.56), (0.4, 0.12, -0.56), (-0.15, 0.11, -0.74), (0.17, 0.1, -0.66))
    for x, half, top in towers:
        pen.rect((x - half, top), (x + half, 0.0), stone)
        pen.rect((x + half * 0.35, top), (x + half, 0.0), darker(stone, 0.14))
        pen.shape([(x - half * 1.25, top), (x, top - 0.28), (x + half * 1.25, top)], colour)
        pen.line([(x, top - 0.26), (x, top - 0.38)], 0.012, INK)
        pen.shape([(x, top - 0.38), (x + 0.12, top - 0.345), (x, top - 0.31)], (240, 190, 80))
        pen.oval((x - 0.01, top + 0.12), (0.022, 0.045), INK)
    pen.rect((-0.42, -0.32), (0.42, 0.0), darker(stone, 0.05))
    for step in range(7):
        x = -0.42 + 0.126 * step
        pen.rect((x, -0.38), (x + 0.08, -0.3), darker(stone, 0.05))
    pen.blob([(-0.1, 0.0), (-0.1, -0.16), (0, -0.24), (0.1, -0.16), (0.1, 0.0)], (92, 62, 56))


def boat(pen: Pen, colour: Colour) -> None:
    """A sailing boat and its wake."""
    pen.line([(0, -0.12), (0, -1.0)], 0.022, (122, 84, 60))
    pen.blob([(0.02, -0.96), (0.2, -0.6), (0.42, -0.22), (0.03, -0.2)], CREAM)
    pen.blob([(-0.02, -0.86), (-0.2, -0.5), (-0.34, -0.24), (-0.03, -0.22)], darker(CREAM, 0.1))
    pen.shape([(0.0, -1.0), (0.16, -0.95), (0.0, -0.91)], colour)
    pen.shape([(-0.46, -0.17), (0.5, -0.17), (0.36, 0.0), (-0.32, 0.0)], colour)
    pen.shape([(-0.46, -0.17), (0.5, -0.17), (0.47, -0.135), (-0.43, -0.135)], CREAM)
    for step, width in enumerate((0.52, 0.4, 0.26)):
        y = 0.015 + 0.035 * step
        pen.oval((0.03, y), (width, 0.011), (255, 255, 255), alpha=0.55 - 0.14 * step)


def balloon(pen: Pen, colour: Colour) -> None:
    """A hot-air balloon in the air."""
    shades = (colour, CREAM, lighter(colour, 0.35), CREAM, colour)
    for index, (shade, width) in enumerate(zip(shades, (0.36, 0.3, 0.21, 0.11, 0.04), strict=True)):
        pen.blob(
            [
                (-width, -0.86),
                (-width * 0.72, -1.1),
                (0, -1.2),
                (width * 0.72, -1.1),
                (width, -0.86),
                (width * 0.66, -0.6),
                (width * 0.26, -0.44),
                (-width * 0.26, -0.44),
                (-width * 0.66, -0.6),
            ],
            darker(shade, 0.04 * index),
        )
    for x in (-0.08, 0.08):
        pen.line([(x, -0.45), (x * 0.8, -0.32)], 0.009, INK)
    pen.blob([(-0.08, -0.32), (0.08, -0.32), (0.065, -0.2), (-0.065, -0.2)], (150, 98, 60))


def rocket(pen: Pen, colour: Colour) -> None:
    """A rocket that has just left."""
    flames: tuple[tuple[float, Colour], ...] = (
        (1.0, (244, 150, 62)),
        (0.66, (252, 208, 96)),
        (0.36, (255, 246, 214)),
    )
    for reach, shade in flames:
        pen.blob([(-0.11 * reach, -0.3), (0, -0.3 + 0.3 * reach), (0.11 * reach, -0.3)], shade)
    for side in (-1, 1):
        pen.blob(
            [(side * 0.12, -0.55), (side * 0.3, -0.34), (side * 0.27, -0.22), (side * 0.1, -0.34)],
            darker(colour, 0.1),
        )
    pen.blob(
        [
            (0, -1.14),
            (0.15, -0.86),
            (0.17, -0.58),
            (0.1, -0.3),
            (-0.1, -0.3),
            (-0.17, -0.58),
            (-0.15, -0.86),
        ],
        CREAM,
    )
    pen.blob([(0, -1.14), (0.115, -0.93), (0, -0.9), (-0.115, -0.93)], colour)
    pen.disc((0, -0.7), 0.085, darker(colour, 0.15))
    pen.disc((0, -0.7), 0.06, (142, 206, 224))
    pen.oval((-0.02, -0.72), (0.02, 0.015), (255, 255, 255), alpha=0.8)


def halo(pen: Pen, colour: Colour, rays: int = 24) -> None:
    """Rays around the origin, one unit long."""
    for step in range(rays):
        a, b = math.tau * (step - 0.22) / rays, math.tau * (step + 0.22) / rays
        ray = [(0.0, 0.0), (math.cos(a), math.sin(a)), (math.cos(b), math.sin(b))]
        pen.shape(ray, colour, 0.18)
