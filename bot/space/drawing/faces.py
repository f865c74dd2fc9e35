"""Heads of furry animals from the front, around the pen's origin and about two units wide."""

from __future__ import annotations

from dataclasses import dataclass

from bot.space.drawing.pen import CREAM, INK, Colour, Pen, darker, lighter, mirrored

ROSE: Colour = (226, 148, 148)


@dataclass(frozen=True, slots=True)
class Species:
    """How one kind of animal differs from another.

    Attributes:
        fur: most of it.
        light: chest, cheeks and muzzle.
        dark: paws, ear tips, stripes.
        head: `"wedge"`, `"oval"` or `"round"`.
        ears: `"pointed"`, `"long"`, `"round"`, `"floppy"`.
        tail: `"bushy"`, `"slim"` or `"none"`.
        marks: `"stripes"`, `"mask"`, `"patches"`, `"mane"` or nothing.
    """

    fur: Colour
    light: Colour = CREAM
    dark: Colour = INK
    head: str = "oval"
    ears: str = "pointed"
    tail: str = "slim"
    marks: str = ""


def head(pen: Pen, species: Species) -> None:
    """The head alone."""
    if species.marks == "mane":
        for ring, colour in ((1.42, species.dark), (1.22, darker(species.fur, 0.25))):
            _mane(pen, ring, colour)
    _EARS[species.ears](pen, species)
    if species.head == "wedge":
        _wedge_face(pen, species)
    else:
        _oval_face(pen, species)


def _mane(pen: Pen, reach: float, colour: Colour) -> None:
    for step in range(14):
        pen.oval((0, 0.05), (reach, 0.34), colour, angle=180 * step / 14)


def _pointed(pen: Pen, species: Species) -> None:
    narrow = 0.0 if species.head == "wedge" else 0.12
    for outer in ([(-0.95, -0.3), (-0.8 + narrow, -1.38 + narrow), (-0.14, -0.7)],):
        inner = [(-0.8, -0.45), (-0.75 + narrow, -1.1 + narrow), (-0.34, -0.66)]
        tip = [(-0.855, -0.95), (-0.8 + narrow, -1.38 + narrow), (-0.52, -1.1)]
        inside = species.dark if species.head == "wedge" else ROSE
        for turn in (list, mirrored):
            pen.shape(turn(outer), species.fur)
            pen.shape(turn(inner), inside)
            if species.head == "wedge":
                pen.shape(turn(tip), species.dark)


def _long(pen: Pen, species: Species) -> None:
    for side in (-1, 1):
        pen.oval((side * 0.36, -1.25), (0.25, 0.8), species.fur, angle=side * 9)
        pen.oval((side * 0.36, -1.2), (0.13, 0.6), ROSE, angle=side * 9)


def _round(pen: Pen, species: Species) -> None:
    colour = species.dark if species.marks == "patches" else species.fur
    inside = species.dark if species.marks == "patches" else species.light
    for side in (-1, 1):
        pen.disc((side * 0.7, -0.68), 0.36, colour)
        pen.disc((side * 0.7, -0.66), 0.2, inside)


def _floppy(pen: Pen, species: Species) -> None:
    for side in (-1, 1):
        pen.oval((side * 0.92, -0.05), (0.26, 0.66), species.dark, angle=side * -14)


_EARS = {"pointed": _pointed, "long": _long, "round": _round, "floppy": _floppy}


def _wedge_face(pen: Pen, species: Species) -> None:
    pen.blob(
        [
            (-0.5, -0.72),
            (0, -0.8),
            (0.5, -0.72),
            (0.96, -0.3),
            (1.14, 0.22),
            (0.74, 0.48),
            (0.34, 0.78),
            (0, 0.98),
            (-0.34, 0.78),
            (-0.74, 0.48),
            (-1.14, 0.22),
            (-0.96, -0.3),
        ],
        species.fur,
    )
    cheek = [
        (-1.12, 0.22),
        (-0.78, 0.08),
        (-0.4, 0.2),
        (-0.14, 0.42),
        (0.0, 0.6),
        (0.0, 0.96),
        (-0.34, 0.77),
        (-0.74, 0.47),
    ]
    pen.blob(cheek, species.light)
    pen.blob(mirrored(cheek), species.light)
    if species.marks == "mask":
        for side in (-1, 1):
            pen.oval((side * 0.48, 0.02), (0.44, 0.24), species.dark, angle=side * 22)
    _eyes(pen, (0.43, 0.0), 0.115)
    pen.oval((0, 0.84), (0.15, 0.115), INK)
    pen.oval((-0.045, 0.8), (0.045, 0.025), (255, 255, 255), alpha=0.7)


def _oval_face(pen: Pen, species: Species) -> None:
    tall = 0.86 if species.head == "round" else 0.8
    pen.oval((0, 0.04), (1.0, tall), species.fur)
    if species.marks == "stripes":
        _stripes(pen, species.dark)
    if species.marks == "patches":
        for side in (-1, 1):
            pen.oval((side * 0.4, -0.06), (0.24, 0.3), species.dark, angle=side * 28)
    for side in (-1, 1):
        pen.oval((side * 0.17, 0.44), (0.25, 0.2), species.light)
        pen.oval((side * 0.66, 0.34), (0.15, 0.1), ROSE, alpha=0.45)
    pen.oval((0, 0.58), (0.2, 0.15), species.light)
    _eyes(pen, (0.42, -0.02), 0.125)
    nose = ROSE if species.ears in {"pointed", "long"} else INK
    pen.blob([(-0.13, 0.27), (0.13, 0.27), (0.07, 0.37), (0, 0.41), (-0.07, 0.37)], nose)
    mouth = [(-0.16, 0.5), (-0.06, 0.53), (0, 0.47), (0.06, 0.53), (0.16, 0.5)]
    pen.line(mouth, 0.035, INK)
    if species.ears == "pointed":
        for side in (-1, 1):
            for rise in (-0.06, 0.06):
                pen.line(
                    [(side * 0.5, 0.44 + rise), (side * 1.12, 0.42 + rise * 3)],
                    0.016,
                    lighter(species.light, 0.6),
                )


def _stripes(pen: Pen, colour: Colour) -> None:
    for x, length in ((-0.24, 0.26), (0.0, 0.36), (0.24, 0.26)):
        pen.blob([(x - 0.06, -0.73), (x + 0.06, -0.73), (x * 0.8, -0.72 + length)], colour)
    for side in (-1, 1):
        for y in (0.1, 0.3):
            stripe = [(side * 0.99, y - 0.06), (side * 0.99, y + 0.07), (side * 0.68, y + 0.02)]
            pen.blob(stripe, colour)


def _eyes(pen: Pen, place: tuple[float, float], radius: float) -> None:
    for side in (-1, 1):
        x, y = side * place[0], place[1]
        pen.oval((x, y), (radius, radius * 1.2), INK)
        pen.disc((x - 0.03, y - 0.05), radius * 0.34, (255, 255, 255))
