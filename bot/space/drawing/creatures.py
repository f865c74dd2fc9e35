"""Birds, fish, butterflies and robots. Each stands on its pen's origin, about one unit high."""

from __future__ import annotations

from bot.space.drawing.pen import CREAM, INK, Colour, Pen, darker, lighter, mirrored


def owl(pen: Pen, colour: Colour) -> None:
    """An owl, from the front."""
    for side in (-1, 1):
        pen.shape([(side * 0.31, -0.75), (side * 0.3, -1.0), (side * 0.05, -0.85)], colour)
    pen.blob(
        [
            (-0.3, -0.78),
            (0, -0.88),
            (0.3, -0.78),
            (0.36, -0.4),
            (0.22, -0.04),
            (0, 0.0),
            (-0.22, -0.04),
            (-0.36, -0.4),
        ],
        colour,
    )
    pen.oval((0, -0.3), (0.2, 0.25), lighter(colour, 0.5))
    for row in range(3):
        for column in range(-1, 2):
            pen.oval((column * 0.1, -0.4 + row * 0.1), (0.035, 0.022), colour)
    for side in (-1, 1):
        pen.oval((side * 0.29, -0.36), (0.1, 0.28), darker(colour, 0.25), angle=side * -8)
        pen.disc((side * 0.14, -0.66), 0.15, CREAM)
        pen.disc((side * 0.13, -0.66), 0.085, (240, 176, 64))
        pen.disc((side * 0.13, -0.66), 0.055, INK)
        pen.disc((side * 0.13 - 0.02, -0.685), 0.018, (255, 255, 255))
        pen.oval((side * 0.1, -0.01), (0.07, 0.025), (232, 160, 72))
    pen.shape([(-0.045, -0.6), (0.045, -0.6), (0, -0.49)], (232, 160, 72))


def bird(pen: Pen, colour: Colour) -> None:
    """A small round bird, from the side."""
    for x in (-0.05, 0.07):
        pen.line([(x, -0.16), (x, 0.0), (x - 0.06, 0.0)], 0.022, (122, 84, 60))
    pen.shape([(0.22, -0.34), (0.62, -0.2), (0.6, -0.1), (0.18, -0.18)], darker(colour, 0.3))
    pen.blob(
        [
            (-0.3, -0.6),
            (-0.1, -0.76),
            (0.12, -0.6),
            (0.32, -0.34),
            (0.2, -0.12),
            (-0.08, -0.1),
            (-0.3, -0.28),
        ],
        colour,
    )
    pen.blob(
        [(-0.31, -0.5), (-0.14, -0.44), (0.02, -0.16), (-0.1, -0.1), (-0.28, -0.26)],
        lighter(colour, 0.6),
    )
    pen.blob([(0.0, -0.48), (0.2, -0.42), (0.44, -0.2), (0.14, -0.22)], darker(colour, 0.2))
    pen.shape([(-0.29, -0.6), (-0.46, -0.53), (-0.29, -0.5)], (240, 172, 70))
    pen.disc((-0.16, -0.6), 0.04, INK)
    pen.disc((-0.172, -0.613), 0.014, (255, 255, 255))


def penguin(pen: Pen, colour: Colour) -> None:
    """A penguin, from the front."""
    for side in (-1, 1):
        pen.oval((side * 0.12, -0.01), (0.11, 0.035), (236, 156, 66))
        pen.oval((side * 0.3, -0.42), (0.07, 0.24), darker(colour, 0.2), angle=side * -18)
    pen.blob(
        [
            (-0.2, -0.8),
            (0, -0.95),
            (0.2, -0.8),
            (0.31, -0.4),
            (0.22, -0.05),
            (0, -0.01),
            (-0.22, -0.05),
            (-0.31, -0.4),
        ],
        colour,
    )
    pen.oval((0, -0.32), (0.22, 0.29), (250, 248, 242))
    for side in (-1, 1):
        pen.oval((side * 0.085, -0.7), (0.105, 0.12), (250, 248, 242))
        pen.disc((side * 0.08, -0.71), 0.034, INK)
        pen.disc((side * 0.08 - 0.01, -0.722), 0.011, (255, 255, 255))
    pen.shape([(-0.06, -0.66), (0.06, -0.66), (0, -0.58)], (236, 156, 66))


def fish(pen: Pen, colour: Colour) -> None:
    """A fish above its own splash."""
    body = pen.at(0, -0.5, 1.0)
    body.shape([(0.26, 0.0), (0.58, -0.24), (0.5, 0.0), (0.58, 0.24)], darker(colour, 0.12))
    body.blob([(-0.12, -0.2), (0.1, -0.38), (0.2, -0.16)], darker(colour, 0.2))
    body.oval((-0.06, 0), (0.4, 0.24), colour)
    body.oval((-0.1, 0.08), (0.3, 0.14), lighter(colour, 0.4))
    for x in (-0.02, 0.12):
        body.oval((x, -0.01), (0.035, 0.2), CREAM, alpha=0.9)
    body.disc((-0.3, -0.05), 0.055, (255, 255, 255))
    body.disc((-0.31, -0.05), 0.032, INK)
    for x, y, radius in ((-0.6, -0.5, 0.05), (-0.68, -0.68, 0.03), (-0.56, -0.8, 0.02)):
        pen.disc((x, y), radius, (255, 255, 255), 0.5)


def butterfly(pen: Pen, colour: Colour) -> None:
    """A butterfly with open wings."""
    wings = pen.at(0, -0.52, 1.0)
    upper = [
        (0, -0.04),
        (-0.16, -0.34),
        (-0.44, -0.46),
        (-0.56, -0.28),
        (-0.42, -0.02),
        (-0.1, 0.03),
    ]
    lower = [(0, 0.0), (-0.3, 0.04), (-0.42, 0.22), (-0.3, 0.42), (-0.12, 0.3)]
    for turn in (list, mirrored):
        wings.blob(turn(lower), darker(colour, 0.22))
        wings.blob(turn(upper), darker(colour, 0.45))
        wings.blob(turn([(x * 0.84 - 0.02, y * 0.84) for x, y in upper]), colour)
        for x, y, radius in ((-0.4, -0.28, 0.06), (-0.26, -0.14, 0.045), (-0.26, 0.22, 0.055)):
            wings.disc(turn([(x, y)])[0], radius, lighter(colour, 0.6))
        wings.line(turn([(0, -0.2), (-0.06, -0.36), (-0.13, -0.42)]), 0.012, INK)
    wings.oval((0, 0.02), (0.035, 0.26), INK)


def robot(pen: Pen, colour: Colour) -> None:
    """A friendly robot."""
    pen.line([(0, -0.9), (0, -1.02)], 0.02, darker(colour, 0.3))
    pen.disc((0, -1.03), 0.04, (240, 110, 90))
    for side in (-1, 1):
        pen.rect((side * 0.13 - 0.06, -0.14), (side * 0.13 + 0.06, 0.0), darker(colour, 0.35))
        pen.line(
            [(side * 0.24, -0.44), (side * 0.36, -0.3), (side * 0.34, -0.18)],
            0.07,
            darker(colour, 0.2),
        )
        pen.disc((side * 0.34, -0.16), 0.055, darker(colour, 0.4))
        pen.rect((side * 0.3 - 0.03, -0.78), (side * 0.3 + 0.03, -0.64), darker(colour, 0.35))
    pen.blob(
        [(-0.24, -0.5), (0.24, -0.5), (0.25, -0.3), (0.22, -0.12), (-0.22, -0.12), (-0.25, -0.3)],
        colour,
    )
    pen.blob(
        [
            (-0.28, -0.88),
            (0, -0.92),
            (0.28, -0.88),
            (0.3, -0.7),
            (0.28, -0.55),
            (0, -0.52),
            (-0.28, -0.55),
            (-0.3, -0.7),
        ],
        lighter(colour, 0.18),
    )
    pen.blob(
        [(-0.2, -0.8), (0.2, -0.8), (0.21, -0.7), (0.19, -0.62), (-0.19, -0.62), (-0.21, -0.7)],
        (44, 54, 76),
    )
    for side in (-1, 1):
        pen.disc((side * 0.09, -0.71), 0.04, (126, 232, 222))
    for index, shade in enumerate(((240, 110, 90), (246, 196, 84), (126, 232, 222))):
        pen.disc((-0.09 + 0.09 * index, -0.36), 0.03, shade)
