"""Puts the subject that a prompt names into a picture."""

from __future__ import annotations

from collections.abc import Callable

from bot.space.drawing import animals, creatures, plants, things
from bot.space.drawing.palette import PALETTES, Palette
from bot.space.drawing.pen import Colour, Pen, Point, darker
from bot.space.drawing.places import GRASS
from bot.space.drawing.scene import Scene

_DRAWN: dict[str, tuple[Callable[[Pen, Colour], None], Colour]] = {
    "owl": (creatures.owl, (146, 104, 74)),
    "bird": (creatures.bird, (78, 138, 190)),
    "penguin": (creatures.penguin, (52, 58, 78)),
    "fish": (creatures.fish, (238, 124, 60)),
    "butterfly": (creatures.butterfly, (236, 138, 64)),
    "robot": (creatures.robot, (150, 172, 190)),
    "lighthouse": (things.lighthouse, (206, 72, 62)),
    "house": (things.house, (190, 82, 66)),
    "castle": (things.castle, (110, 112, 168)),
    "boat": (things.boat, (190, 74, 62)),
    "balloon": (things.balloon, (222, 88, 74)),
    "rocket": (things.rocket, (214, 78, 70)),
    "cactus": (plants.cactus, (86, 146, 96)),
}
"""How to draw a subject, and its colour where the prompt names none."""

_ABOVE_GROUND = {"boat": 0.16, "balloon": 0.12, "butterfly": 0.12, "rocket": 0.12}
"""How far from the ground, in units of the canvas; what stands on it throws a shadow."""


def standing(
    pen: Pen, scene: Scene, palette: Palette, foot: Point, size: float, *, flip: bool
) -> None:
    """The subject at `foot`, with its shadow; nothing if the scene has none."""
    if scene.subject is None:
        return
    above = _ABOVE_GROUND.get(scene.subject)
    if above is None:
        shade = darker(palette.tint, 0.8)
        pen.oval(foot, (size * 0.42, size * 0.045), shade, alpha=0.26)
    alone(pen.at(foot[0], foot[1] - (above or 0.0), size, flip=flip), scene, palette)


def alone(pen: Pen, scene: Scene, palette: Palette) -> None:
    """The subject on its pen's origin, about one unit high, without a ground."""
    match scene.subject:
        case None:
            return
        case "tree":
            usual = (218, 122, 52) if palette in PALETTES["autumn"] else (96, 150, 92)
            crown = palette.lit(scene.colour or usual)
            plants.great_tree(pen.at(0, 0, 1.1), crown, (110, 78, 62))
        case "flower":
            stalk = palette.lit(darker(GRASS, 0.3))
            plants.bloom(pen.at(0, 0, 1.1), scene.colour or (240, 178, 60), stalk)
        case name if name in animals.SPECIES:
            animals.seated(pen, animals.coloured(animals.SPECIES[name], scene.colour))
        case name:
            draw, colour = _DRAWN[name]
            draw(pen, scene.colour or colour)


def portrait(pen: Pen, scene: Scene, palette: Palette) -> None:
    """The subject as large as a canvas of one unit allows, around its middle."""
    species = animals.SPECIES.get(scene.subject or "")
    if species is None:
        alone(pen.at(0.5, 0.86, 0.66), scene, palette)
    else:
        animals.bust(pen.at(0.5, 0.56, 0.72), animals.coloured(species, scene.colour))
