"""A canvas in unit coordinates, and the few strokes that everything else is drawn with."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image, ImageChops, ImageDraw

Colour: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]

INK: Colour = (38, 34, 44)
CREAM: Colour = (250, 240, 226)

SIZE = 768
"""Pixels of a finished picture's side, as on the Space."""
OVERSAMPLING = 2
"""Drawn this much larger and reduced, because Pillow's polygons have hard edges."""
SIDE = SIZE * OVERSAMPLING


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` (0 to 1) of the second colour in the first."""
    return (
        round(first[0] + (second[0] - first[0]) * share),
        round(first[1] + (second[1] - first[1]) * share),
        round(first[2] + (second[2] - first[2]) * share),
    )


def lighter(colour: Colour, share: float) -> Colour:
    """Mixed with white."""
    return mix(colour, (255, 255, 255), share)


def darker(colour: Colour, share: float) -> Colour:
    """Mixed with a blue that is nearly black, which looks softer than black."""
    return mix(colour, (18, 20, 38), share)


def smooth(points: Sequence[Point], steps: int = 8) -> list[Point]:
    """A closed Catmull-Rom curve through the points."""
    curve: list[Point] = []
    count = len(points)
    for i in range(count):
        p0, p1, p2, p3 = (points[(i + k) % count] for k in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            curve.append(
                (
                    _spline(p0[0], p1[0], p2[0], p3[0], t),
                    _spline(p0[1], p1[1], p2[1], p3[1], t),
                )
            )
    return curve


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (
        2 * b
        + (c - a) * t
        + (2 * a - 5 * b + 4 * c - d) * t * t
        + (3 * b - a - 3 * c + d) * t * t * t
    )


def mirrored(points: Iterable[Point]) -> list[Point]:
    """The same points on the other side of x = 0."""
    return [(-x, y) for x, y in points]


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws on an image, in coordinates of its own.

    Attributes:
        image: what is drawn on; RGB, `SIDE` pixels square.
        x: where the pen's own origin lies, in pixels.
        y: the same, downwards.
        scale: pixels of one unit.
        flip: left and right are exchanged.
    """

    image: Image.Image
    x: float = 0.0
    y: float = 0.0
    scale: float = SIDE
    flip: bool = False

    def at(self, x: float, y: float, size: float, *, flip: bool = False) -> Pen:
        """A pen whose origin is at (x, y) of this one, `size` as large."""
        px, py = self._pixel((x, y))
        return Pen(self.image, px, py, self.scale * size, self.flip != flip)

    def shape(self, points: Iterable[Point], colour: Colour, alpha: float = 1.0) -> None:
        """A filled polygon."""
        pixels = [self._pixel(point) for point in points]
        if alpha >= 1:  # several times as fast as blending
            ImageDraw.Draw(self.image).polygon(pixels, fill=colour)
        else:
            brush = ImageDraw.Draw(self.image, "RGBA")
            brush.polygon(pixels, fill=(*colour, round(255 * alpha)))

    def blob(self, points: Sequence[Point], colour: Colour, alpha: float = 1.0) -> None:
        """A filled closed curve through the points."""
        self.shape(smooth(points), colour, alpha)

    def oval(
        self,
        centre: Point,
        radii: Point,
        colour: Colour,
        *,
        angle: float = 0.0,
        alpha: float = 1.0,
    ) -> None:
        """A filled ellipse, turned clockwise by `angle` degrees."""
        turn = math.radians(angle)
        cos, sin = math.cos(turn), math.sin(turn)
        points = []
        for step in range(72):
            a = math.tau * step / 72
            dx, dy = radii[0] * math.cos(a), radii[1] * math.sin(a)
            points.append((centre[0] + dx * cos - dy * sin, centre[1] + dx * sin + dy * cos))
        self.shape(points, colour, alpha)

    def disc(self, centre: Point, radius: float, colour: Colour, alpha: float = 1.0) -> None:
        """A filled circle."""
        self.oval(centre, (radius, radius), colour, alpha=alpha)

    def line(self, points: Iterable[Point], width: float, colour: Colour) -> None:
        """An open line with round corners; `width` in units."""
        brush = ImageDraw.Draw(self.image)
        pixels = [self._pixel(point) for point in points]
        brush.line(pixels, fill=colour, width=max(1, round(width * self.scale)), joint="curve")
        radius = width * self.scale / 2
        for x, y in (pixels[0], pixels[-1]):
            brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def rect(
        self, left_top: Point, right_bottom: Point, colour: Colour, alpha: float = 1.0
    ) -> None:
        """A filled rectangle."""
        (x0, y0), (x1, y1) = left_top, right_bottom
        self.shape([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour, alpha)

    def glow(self, centre: Point, radius: float, colour: Colour, strength: float) -> None:
        """Light around a point, fading to nothing at `radius`; strength 0 to 1."""
        size = max(2, round(2 * radius * self.scale))
        fade = ImageChops.invert(Image.radial_gradient("L"))
        # The gradient ends in the corners; stretch it so that it ends at the edges.
        fade = fade.point([max(0, round((v - 75) * 255 / 180 * strength)) for v in range(256)])
        x, y = self._pixel(centre)
        box = (round(x - size / 2), round(y - size / 2))
        self.image.paste(colour, box, fade.resize((size, size), Image.Resampling.BILINEAR))

    def _pixel(self, point: Point) -> Point:
        sign = -1 if self.flip else 1
        return self.x + sign * point[0] * self.scale, self.y + point[1] * self.scale


def gradient(stops: Sequence[Colour]) -> Image.Image:
    """A canvas that fades through the colours from top to bottom."""
    rows = 256
    strip = Image.new("RGB", (1, rows))
    for row in range(rows):
        place = row / (rows - 1) * (len(stops) - 1)
        index = min(int(place), len(stops) - 2)
        t = place - index
        strip.putpixel((0, row), mix(stops[index], stops[index + 1], t * t * (3 - 2 * t)))
    # Two steps, because only the first needs interpolation.
    tall = strip.resize((1, SIDE), Image.Resampling.BICUBIC)
    return tall.resize((SIDE, SIDE), Image.Resampling.NEAREST)


def finish(image: Image.Image, rng: random.Random) -> Image.Image:
    """Reduce to `SIZE` and add the faint grain of printed paper, which also hides banding."""
    picture = image.reduce(OVERSAMPLING)
    half = SIZE // 2
    noise = Image.frombytes("L", (half, half), rng.randbytes(half * half))
    noise = noise.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    grain = Image.merge("RGB", (noise, noise, noise))
    return Image.blend(picture, ImageChops.overlay(picture, grain), 0.09)
