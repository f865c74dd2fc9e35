"""Five pictures of one prompt, each arranged in its own way."""

from __future__ import annotations

import cmath
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from bot.space.drawing import abstract, plants, scene, sky, subjects, things
from bot.space.drawing.palette import PALETTES, TIMES, Palette
from bot.space.drawing.pen import SIDE, Colour, Pen, Point, darker, finish, lighter, mix
from bot.space.drawing.places import GRASS, PLACES
from bot.space.drawing.scene import Scene

COUNT = 5
"""Pictures of one request, as on the Space."""

_GREEN = frozenset({"forest", "meadow", "mountains", "garden"})
"""Places where grass grows and leaves fall."""

_PAPER: Colour = (248, 242, 230)


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be drawn; equal requests give equal pictures.

    Attributes:
        prompt: in any words.
        seed: 0 or more.
        guidance: 1 to 10; the higher, the stronger the colours.
        temperature: 0 to 1; the higher, the further subjects stray from their places.
    """

    prompt: str
    seed: int
    guidance: float
    temperature: float


@dataclass(frozen=True, slots=True)
class _Plan:
    """One picture, decided but for its arrangement."""

    scene: Scene
    palette: Palette
    rng: random.Random
    stray: float

    def about(self, value: float, spread: float) -> float:
        """A value, or one near it, depending on the request's temperature."""
        return value + self.rng.uniform(-spread, spread) * self.stray


def paint(request: Request, index: int) -> Image.Image:
    """Picture number `index` (0 to 4) of a request: RGB, 768x768, always the same bytes."""
    # Seeding with a string is documented to be stable across processes and versions.
    rng = random.Random(f"{request}/{index}")  # noqa: S311 - art, not secrets
    wanted = scene.read(request.prompt)
    canvas = Image.new("RGB", (SIDE, SIDE))
    if wanted.place is None:
        abstract.paint(Pen(canvas), index + request.seed, rng, wanted.colour)
    else:
        # Both count, or all first pictures would be alike; times and arrangements go round at
        # different speeds, so that they meet in every pair.
        turn = index + request.seed
        time = wanted.time or TIMES[(2 * index + request.seed // COUNT) % len(TIMES)]
        if wanted.place == "space":
            time = "night"
        choices = PALETTES[time]
        plan = _Plan(wanted, choices[turn // 2 % len(choices)], rng, request.temperature)
        _ARRANGEMENTS[turn % COUNT](Pen(canvas), plan)
    picture = finish(canvas, rng)
    return ImageEnhance.Color(picture).enhance(0.85 + 0.035 * request.guidance)


def _wide(pen: Pen, plan: _Plan) -> None:
    """The subject at one third, the sun at the other."""
    flip = plan.rng.choice((False, True))
    x = plan.about(0.66, 0.05)
    ground = _backdrop(pen, plan, (0.26 if not flip else 0.74, plan.about(0.24, 0.06)), 0.07)
    _subject(pen, plan, (x if not flip else 1 - x, ground + 0.03), plan.about(0.46, 0.04))
    _weather(pen, plan)


def _great_sun(pen: Pen, plan: _Plan) -> None:
    """The subject before a huge sun or moon."""
    x = plan.about(0.5, 0.04)
    ground = _backdrop(pen, plan, (x, plan.about(0.46, 0.03)), 0.27)
    _subject(pen, plan, (x, ground + 0.02), plan.about(0.5, 0.03))
    _weather(pen, plan)


def _framed(pen: Pen, plan: _Plan) -> None:
    """The view between two dark trees, or through grass."""
    ground = _backdrop(pen, plan, (plan.about(0.55, 0.2), 0.2), 0.06)
    _subject(pen, plan, (plan.about(0.47, 0.06), ground), plan.about(0.4, 0.03))
    _weather(pen, plan)
    shade = darker(plan.palette.lit(mix(GRASS, (40, 60, 80), 0.5)), 0.55)
    if plan.scene.place in {"forest", "snow", "mountains", "meadow"}:
        for x, size in ((-0.02, 0.95), (0.11, 0.5), (1.0, 1.05), (0.9, 0.56)):
            plants.fir(pen.at(x, 1.12, size * plan.rng.uniform(0.9, 1.1)), shade)
    elif plan.scene.place == "garden":
        for x in (0.03, 0.14, 0.86, 0.96):
            petal = plan.palette.lit((236, 120, 132))
            plants.flower(pen.at(x, 1.04, plan.rng.uniform(0.3, 0.42)), petal, shade)
    if plan.scene.place not in _GREEN:
        return
    for _ in range(40):
        x = plan.rng.random()
        plants.tuft(pen.at(x, 1.02, plan.rng.uniform(0.03, 0.06 + 0.1 * abs(x - 0.5))), shade)


def _portrait(pen: Pen, plan: _Plan) -> None:
    """The subject large before a disc of sky; without one, the view in a disc."""
    ground, disc = mix(plan.palette.haze, _PAPER, 0.35), plan.palette.sky[0]
    if plan.scene.subject is None:
        inner = Image.new("RGB", (SIDE, SIDE))
        _wide(Pen(inner), plan)
        mask = Image.new("L", (SIDE, SIDE))
        edge = SIDE * 0.08
        ImageDraw.Draw(mask).ellipse((edge, edge, SIDE - edge, SIDE - edge), fill=255)
        pen.rect((0, 0), (1, 1), ground)
        pen.image.paste(inner, (0, 0), mask)
        return
    pen.rect((0, 0), (1, 1), ground)
    things.halo(pen.at(0.5, 0.52, 0.9), lighter(plan.palette.orb, 0.2))
    pen.disc((0.5, 0.5), 0.36, mix(disc, plan.palette.haze, 0.25))
    if plan.palette.dark:
        sky.stars(pen, plan.rng, 60, 0.9)
    subjects.portrait(pen.at(plan.about(0.0, 0.02), 0, 1), plan.scene, plan.palette)
    _sprigs(pen, plan)
    _weather(pen, plan)


def _print(pen: Pen, plan: _Plan) -> None:
    """A picture in an arched window on paper."""
    inner = Image.new("RGB", (SIDE, SIDE))
    view = Pen(inner)
    x = plan.about(0.5, 0.04)
    ground = _backdrop(view, plan, (plan.about(0.36, 0.05), 0.36), 0.08)
    _subject(view, plan, (x, ground - 0.02), plan.about(0.42, 0.03))
    _weather(view, plan)
    mask = Image.new("L", (SIDE, SIDE))
    brush = ImageDraw.Draw(mask)
    left, right, top, bottom = (round(SIDE * share) for share in (0.16, 0.84, 0.08, 0.90))
    brush.ellipse((left, top, right, top + right - left), fill=255)
    brush.rectangle((left, top + (right - left) // 2, right, bottom), fill=255)
    pen.rect((0, 0), (1, 1), _PAPER)
    # Blurred while small: a blur costs by the pixel, and nobody sees the difference.
    shadow = mask.reduce(4).filter(ImageFilter.GaussianBlur(SIDE * 0.003))
    shadow = shadow.resize((SIDE, SIDE), Image.Resampling.BILINEAR).point(lambda v: v // 4)
    pen.image.paste((60, 50, 60), (0, round(SIDE * 0.008)), shadow)
    pen.image.paste(inner, (0, 0), mask)
    for step in range(3):
        pen.disc((0.47 + 0.03 * step, 0.945), 0.006, plan.palette.sky[min(step, 1)])


_Arrangement: TypeAlias = Callable[[Pen, _Plan], None]
_ARRANGEMENTS: tuple[_Arrangement, ...] = (_wide, _portrait, _great_sun, _framed, _print)


def _subject(pen: Pen, plan: _Plan, foot: Point, size: float) -> None:
    flip = plan.rng.choice((False, True))
    subjects.standing(pen, plan.scene, plan.palette, foot, size, flip=flip)


def _backdrop(pen: Pen, plan: _Plan, orb: Point, radius: float) -> float:
    sky.paint_sky(pen, plan.palette, plan.rng, orb, radius)
    place = plan.scene.place or "meadow"
    if plan.palette.dark and place in {"snow", "mountains"}:
        sky.aurora(pen, plan.rng)
    return PLACES[place](pen, plan.palette, plan.rng)


def _weather(pen: Pen, plan: _Plan) -> None:
    if plan.scene.rain:
        sky.rainfall(pen, plan.rng)
    elif plan.scene.place == "snow":
        sky.snowfall(pen, plan.rng)
    elif plan.palette in PALETTES["autumn"] and plan.scene.place in _GREEN:
        sky.leaves(pen, plan.rng)


def _sprigs(pen: Pen, plan: _Plan) -> None:
    """Leaves in the lower corners of a portrait."""
    colour = darker(plan.palette.lit((92, 138, 104)), 0.15)
    for side in (False, True):
        corner = pen.at(1.02 if side else -0.02, 1.02, 1.0, flip=side)
        for step in range(7):
            angle = -8 - 13 * step
            reach = 0.15 + 0.02 * (step % 3)
            leaf = corner.at(0, 0, reach)
            shade = lighter(colour, 0.12 * (step % 2))
            leaf.blob(_leaf(angle), shade)


def _leaf(angle: float) -> list[Point]:
    turn = cmath.rect(1, math.radians(angle))
    outline = [0j, 0.5 + 0.22j, 1.5 + 0.12j, 2 + 0j, 1.5 - 0.12j, 0.5 - 0.22j]
    return [((point * turn).real, (point * turn).imag) for point in outline]
