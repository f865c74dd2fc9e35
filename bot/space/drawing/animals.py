"""Furry animals, from the front: seated, or as a bust."""

from __future__ import annotations

from dataclasses import replace

from bot.space.drawing.faces import Species, head
from bot.space.drawing.pen import CREAM, Colour, Pen, darker, lighter

SPECIES: dict[str, Species] = {
    "fox": Species((222, 104, 44), dark=(70, 44, 46), head="wedge", tail="bushy"),
    "wolf": Species((126, 136, 152), (232, 234, 238), (72, 78, 96), head="wedge", tail="bushy"),
    "raccoon": Species(
        (140, 140, 148), (236, 234, 232), (58, 56, 66), head="wedge", tail="bushy", marks="mask"
    ),
    "cat": Species((152, 142, 148), (244, 240, 236), (98, 90, 100), marks="stripes"),
    "tiger": Species((232, 140, 52), CREAM, (58, 44, 44), ears="round", marks="stripes"),
    "lion": Species((226, 170, 88), CREAM, (152, 90, 46), ears="round", marks="mane"),
    "dog": Species((206, 154, 98), CREAM, (132, 86, 58), ears="floppy"),
    "rabbit": Species((202, 184, 168), (250, 246, 240), (150, 128, 116), ears="long", tail="none"),
    "bear": Species(
        (136, 92, 64), (216, 180, 142), (100, 66, 50), head="round", ears="round", tail="none"
    ),
    "panda": Species(
        (244, 242, 238),
        (250, 250, 248),
        (50, 50, 58),
        head="round",
        ears="round",
        tail="none",
        marks="patches",
    ),
    "mouse": Species((160, 160, 172), (232, 226, 226), (118, 116, 130), ears="round"),
}


def coloured(species: Species, colour: Colour | None) -> Species:
    """The species in another fur, if one is asked for."""
    if colour is None:
        return species
    return replace(species, fur=colour, dark=darker(colour, 0.55))


def seated(pen: Pen, species: Species) -> None:
    """The whole animal, sitting."""
    _tail(pen, species)
    shade, paw = darker(species.fur, 0.12), _paws(species)
    arms = paw if species.marks == "patches" else species.fur
    pen.blob(
        [
            (-0.19, 0.0),
            (-0.27, -0.12),
            (-0.22, -0.32),
            (-0.13, -0.52),
            (0.13, -0.52),
            (0.22, -0.32),
            (0.27, -0.12),
            (0.19, 0.0),
        ],
        species.fur,
    )
    for side in (-1, 1):
        pen.oval((side * 0.18, -0.11), (0.1, 0.115), arms if arms != species.fur else shade)
        pen.oval((side * 0.2, -0.02), (0.09, 0.034), paw)
    pen.blob(
        [
            (-0.1, -0.5),
            (-0.12, -0.38),
            (-0.06, -0.24),
            (0, -0.18),
            (0.06, -0.24),
            (0.12, -0.38),
            (0.1, -0.5),
        ],
        species.light,
    )
    for side in (-1, 1):
        pen.blob(
            [
                (side * 0.12, -0.34),
                (side * 0.03, -0.28),
                (side * 0.025, -0.04),
                (side * 0.07, 0.0),
                (side * 0.12, -0.04),
            ],
            arms,
        )
        pen.oval((side * 0.07, -0.02), (0.058, 0.036), paw)
    head(pen.at(0, -0.66, 0.235), species)


def bust(pen: Pen, species: Species) -> None:
    """Head and shoulders; the shoulders end at y = 0.5, the head is about one unit wide."""
    shoulders = species.dark if species.marks == "patches" else species.fur
    pen.blob(
        [(-0.55, 0.7), (-0.48, 0.42), (-0.28, 0.22), (0.28, 0.22), (0.48, 0.42), (0.55, 0.7)],
        darker(shoulders, 0.08),
    )
    if species.marks != "patches":
        pen.blob(
            [
                (-0.2, 0.2),
                (-0.24, 0.36),
                (-0.12, 0.52),
                (0, 0.64),
                (0.12, 0.52),
                (0.24, 0.36),
                (0.2, 0.2),
            ],
            species.light,
        )
    head(pen.at(0, 0, 0.44), species)


def _paws(species: Species) -> Colour:
    if species.head == "wedge" or species.marks == "patches":
        return species.dark
    return lighter(species.fur, 0.3)


def _tail(pen: Pen, species: Species) -> None:
    if species.tail == "bushy":
        pen.blob(
            [
                (0.1, -0.02),
                (0.3, 0.0),
                (0.46, -0.1),
                (0.5, -0.3),
                (0.42, -0.5),
                (0.36, -0.56),
                (0.35, -0.4),
                (0.3, -0.25),
                (0.16, -0.16),
            ],
            darker(species.fur, 0.08),
        )
        tip = species.dark if species.marks == "mask" else species.light
        pen.blob(
            [
                (0.36, -0.57),
                (0.46, -0.46),
                (0.49, -0.34),
                (0.43, -0.38),
                (0.4, -0.33),
                (0.36, -0.38),
            ],
            tip,
        )
    elif species.tail == "slim":
        curve = [(0.12, -0.04), (0.3, -0.03), (0.4, -0.12), (0.4, -0.26), (0.34, -0.36)]
        pen.line(curve, 0.055, darker(species.fur, 0.1))
        pen.line(curve[-2:], 0.055, species.dark)
