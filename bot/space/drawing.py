"""The stand-in's pictures: silhouettes in a landscape, or shapes if no word of the prompt is known.

Everything is flat shapes under one light: a sky, hills behind hills that fade into its haze, and a
subject whose strokes are written down as text. The canvas is 1 by 1, with y downwards.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import NamedTuple, TypeAlias

from PIL import Image, ImageColor, ImageDraw, ImageEnhance

Colour: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]

COUNT = 5
"""Pictures of one request, as on the Space."""
SIDE_PIXELS = 768
_CANVAS_PIXELS = 2 * SIDE_PIXELS  # reduced at the end, because Pillow's polygons have hard edges


def paint(
    prompt: str, index: int, *, seed: int, guidance: float, temperature: float
) -> Image.Image:
    """Draw one picture of a prompt: RGB, 768x768; the same arguments give the same bytes.

    Each `index` from 0 to 4 has its own arrangement. Guidance (1 to 10) makes colours stronger,
    temperature (0 to 1) lets things stray from their places.
    """
    # Seeding with a string is documented to be stable across processes and versions.
    key = f"{prompt}/{seed}/{float(guidance)}/{float(temperature)}/{index}"
    rng = Random(key)  # noqa: S311 - art, not secrets
    pen = Pen(Image.new("RGB", (_CANVAS_PIXELS, _CANVAS_PIXELS)))
    scene, turn = read(prompt), index + seed
    if scene.place:
        # Times and arrangements go round at different speeds, so that they meet in every pair.
        time = scene.time or list(_TIMES)[(2 * index + seed // COUNT) % len(_TIMES)]
        # The first colour is the subject's, if there is one; the next is the light's.
        light = _light(time, turn // 2).coloured(scene.colours[bool(scene.subject) :])
        _arrange(pen, rng, scene, light, list(_ARRANGEMENTS)[turn % COUNT], temperature)
    else:
        (_waves, _petals)[turn % 2](pen, rng, _scheme(rng, scene.colours))
    picture = pen.image.reduce(_CANVAS_PIXELS // SIDE_PIXELS)
    return ImageEnhance.Color(picture).enhance(0.85 + 0.035 * guidance)


_COLOURS = """
red #c83e2d orange #e87e2a yellow #f0c040 golden #e2ac3c green #54965c turquoise #3aa4a2
teal #268084 blue #4270ba purple #7c52a6 violet #7c52a6 pink #e886a2 brown #8a5836
grey #848890 gray #848890 silver #b0b4bc black #32323c white #f0eee8
"""
_TIMES = {
    "day": "noon sunny summer",
    "sunset": "evening dusk",
    "dawn": "sunrise morning",
    "night": "midnight moon moonlight starry stars dark space",
    "autumn": "fall october",
}
"""In the order in which five pictures go through the day if the prompt names no time."""
_PLACES = {
    "meadow": "#709e58 tree #5c8a58 5 11 grass field park garden spring",
    "snow": "#eef3f8 fir #2c5c50 12 20 snowy winter ice icy arctic",
    "forest": "#4a7f5e fir #24524a 15 36 woods jungle pines",
    "mountains": "#5a8c5c peak #606a86 4 40 mountain alps peaks hill hills valley",
    "sea": "#2c7698 fir #2c5c50 0 0 ocean beach coast waves island harbour river lake",
}
"""The ground's colour; what grows there, its colour, how many in a row, how tall; other words."""


class Scene(NamedTuple):
    """What is to be drawn, as far as a prompt says; without a place, shapes of no meaning."""

    subject: str | None
    place: str | None
    time: str | None
    colours: list[Colour]


def read(prompt: str) -> Scene:
    """Understand a prompt: the first word of each kind decides, and all colours are kept."""
    words = re.findall(r"[a-z]+", prompt.lower())

    def first(kinds: Mapping[str, str]) -> str | None:
        meanings = {word: name for name, more in kinds.items() for word in (name, *more.split())}
        return next((meanings[word] for word in words if word in meanings), None)

    subject = first({name: words for name, (words, *_) in _SILHOUETTES.items() if words})
    time, place = first(_TIMES), first(_PLACES)
    home = _SILHOUETTES[subject][1] if subject else time and "mountains"
    codes = dict(re.findall(r"(\w+) (#\w+)", _COLOURS))
    colours = [rgb(codes[word]) for word in words if word in codes]
    return Scene(subject, place or home, time, colours)


def rgb(code: str) -> Colour:
    red, green, blue = ImageColor.getrgb(code)[:3]
    return red, green, blue


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` (0 to 1) of the second colour in the first."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def shade(colour: Colour, share: float) -> Colour:
    """Lighter (`share` above 0, to 1) or darker (below, to -1: a blue that is nearly black)."""
    return mix(colour, (255, 255, 255) if share > 0 else (18, 20, 38), abs(share))


class Light(NamedTuple):
    """A sky from the zenith to the horizon, its sun or moon, and how it tints what is below."""

    time: str
    sky: list[Colour]
    orb: Colour
    tint: Colour
    strength: float

    def on(self, colour: Colour, distance: float = 0.0) -> Colour:
        """A thing's colour in this light; `distance` from 0 (near) to 1 (lost in haze)."""
        return mix(mix(colour, self.tint, self.strength), self.sky[-1], distance)

    def coloured(self, colours: Sequence[Colour]) -> Light:
        """This light in the first of the colours, if there is one."""
        if not colours:
            return self
        sky = [mix(stop, colours[0], 0.65 - 0.15 * row) for row, stop in enumerate(self.sky)]
        return self._replace(sky=sky, tint=colours[0], strength=max(0.4, self.strength))


_LIGHTS = """
day #4a9ed0 #8ecbe2 #e2f0e4 #fff6d2 #fff4d6 10
day #6eb2c4 #beded0 #faf0d6 #ffecb0 #ffecbe 16
sunset #3e3c70 #a0527c #ee7e5c #ffc476 #ffe296 #d66054 28
sunset #2e4a76 #8e708e #f49860 #ffd48c #fff0be #e27a4e 26
dawn #768cc4 #ceb2d0 #facec0 #ffe8cc #fff0d6 #f4c4c4 24
dawn #6098b0 #bcccc8 #fcdeba #ffeed6 #ffe0a8 #fad6b4 22
night #0e1230 #1e2a58 #42548a #f6f0d6 #1a2454 52
night #101c32 #1c425e #52848e #f0f6e2 #123454 50
autumn #7a98a8 #d6c4a8 #fadaa2 #ffe8b2 #e49242 28
autumn #aa745e #e8a870 #fad89e #ffeebe #ce6e36 30
"""


def _light(time: str, variant: int) -> Light:
    """One of the two lights of a time."""
    rows = [row.split() for row in _LIGHTS.splitlines() if row.startswith(time)]
    _, *codes, strength = rows[variant % 2]
    *sky, orb, tint = (rgb(code) for code in codes)
    return Light(time, sky, orb, tint, int(strength) / 100)


class Pen(NamedTuple):
    """Draws in units of so many pixels, from an origin at (x, y); `flip` is -1 for the mirror."""

    image: Image.Image
    x: float = 0.0
    y: float = 0.0
    unit: float = _CANVAS_PIXELS
    flip: int = 1

    def at(self, x: float, y: float, size: float, flip: int = 1) -> Pen:
        """A pen with its origin at (x, y) of this one and a unit `size` times as long."""
        return Pen(self.image, *self._pixel((x, y)), self.unit * size, self.flip * flip)

    def shape(self, points: Iterable[Point], colour: Colour, alpha: float = 1.0) -> None:
        pixels = [self._pixel(point) for point in points]
        if alpha < 1:
            brush = ImageDraw.Draw(self.image, "RGBA")
            brush.polygon(pixels, (*colour, round(255 * alpha)))
        else:  # several times as fast as blending
            ImageDraw.Draw(self.image).polygon(pixels, colour)

    def oval(
        self, centre: Point, radii: Point, colour: Colour, alpha: float = 1.0, angle: float = 0.0
    ) -> None:
        """An ellipse, turned clockwise by `angle` degrees."""
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        rim = [(radii[0] * x, radii[1] * y) for x, y in _RIM]
        turned = [(x * cos - y * sin, x * sin + y * cos) for x, y in rim]
        self.shape([(centre[0] + x, centre[1] + y) for x, y in turned], colour, alpha)

    def disc(self, centre: Point, radius: float, colour: Colour, alpha: float = 1.0) -> None:
        self.oval(centre, (radius, radius), colour, alpha)

    def below(self, line: Iterable[Point], colour: Colour) -> None:
        """Fill everything below a line across the canvas."""
        self.shape([*line, (1.0, 1.01), (0.0, 1.01)], colour)

    def fade(self, *stops: Colour) -> None:
        """Fill the canvas with colours that fade into each other from top to bottom."""
        strip = Image.new("RGB", (1, len(stops)))
        strip.putdata(stops)
        tall = strip.resize((1, _CANVAS_PIXELS))
        self.image.paste(tall.resize(self.image.size, Image.Resampling.NEAREST))

    def glow(self, centre: Point, radius: float, colour: Colour, strength: float) -> None:
        """Light around a point that fades to nothing at `radius`; `strength` from 0 to 1."""
        size = round(2 * radius * self.unit)
        # Pillow's gradient grows from 0 in the middle to about 180 where a circle meets the edges.
        fall = [round(max(0, 180 - value) / 180 * 255 * strength) for value in range(256)]
        mask = (
            Image.radial_gradient("L").point(fall).resize((size, size), Image.Resampling.BILINEAR)
        )
        x, y = self._pixel(centre)
        self.image.paste(colour, (round(x - size / 2), round(y - size / 2)), mask)

    def sketch(self, name: str, **colours: Colour) -> None:
        """Draw a silhouette, which stands on the origin and is about one unit high."""
        for stroke in re.findall(r"[^;\n]+", _SILHOUETTES[name][-1]):
            kind, look, *rest = stroke.split()
            numbers = [float(number) / 100 for number in rest]
            points = [(x, -y) for x, y in zip(numbers[::2], numbers[1::2], strict=False)]
            code, change, opacity = f"{look}::".split(":")[:3]
            alpha = int(opacity or 100) / 100
            for pen in (self, self.at(0, 0, 1, -1))[: 1 + kind.endswith("*")]:
                if kind == "put":
                    pen.at(*points[0], numbers[2]).sketch(look, **colours)
                    continue
                colour = shade(colours.get(code) or rgb(code), int(change or 0) / 100)
                if kind.startswith("oval"):
                    pen.oval(points[0], points[1], colour, alpha, 100 * sum(numbers[4:]))
                else:
                    pen.shape(_smooth(points) if "blob" in kind else points, colour, alpha)

    def _pixel(self, point: Point) -> Point:
        return self.x + self.flip * point[0] * self.unit, self.y + point[1] * self.unit


_RIM = [(math.cos(math.tau * step / 72), math.sin(math.tau * step / 72)) for step in range(72)]


def _smooth(points: Sequence[Point], steps: int = 8) -> list[Point]:
    """A closed Catmull-Rom curve through the points."""
    curve = []
    for i, (bx, by) in enumerate(points):
        (ax, ay), (cx, cy), (dx, dy) = (points[(i + k) % len(points)] for k in (-1, 1, 2))
        for t in (step / steps for step in range(steps)):
            a, d = (2 * t**2 - t - t**3) / 2, (t**3 - t**2) / 2
            b, c = (2 - 5 * t**2 + 3 * t**3) / 2, (t + 4 * t**2 - 3 * t**3) / 2
            curve.append((a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy))
    return curve


def _swell(rng: Random, base: float, height: float, waves: float = 1.4) -> list[Point]:
    """A rolling line across the canvas."""
    a, b, step = rng.random() * math.tau, rng.random() * math.tau, waves / 13
    rises = [0.7 * math.sin(a + x * step) + 0.3 * math.sin(b + x * 2.2 * step) for x in range(81)]
    return [(x / 80, base - height * rise) for x, rise in enumerate(rises)]


# The words for a silhouette, where it is at home, its main, light and dark colour; then strokes, in
# hundredths of a unit and with y upwards: the corners of a `shape`, points on a `blob`'s curve, the
# centre, radii and maybe angle in degrees of an `oval`; where and how large to `put` another one.
# `*` adds the mirror image; a colour's `:shade:opacity` is in percent.
_TEXT = """
fox: foxes vixen @meadow #de682c #faf0e2 #462c2e
  oval #121426::26 0 0 48 4; blob main:-8 10 2 30 0 46 10 50 30 42 50 36 56 35 40 30 25 16 16
  put body 0 0 100; blob light 36 57 46 46 49 34 43 38 40 33 36 38; put foxhead 0 66 23
cat: cats kitten @meadow #98908a #f4f0ec #625a64
  oval #121426::26 0 0 36 4; blob main:-10 10 0 30 0 42 10 44 28 36 42 32 38 37 26 34 12 26 6
  put body 0 0 100; put cathead 0 66 23
body
  blob main -19 0 -27 12 -22 32 -13 52 13 52 22 32 27 12 19 0; oval* main:-12 18 11 10 11
  oval* dark 20 2 9 3; blob light -10 50 -12 38 -6 24 0 18 6 24 12 38 10 50
  blob* main 12 34 3 28 2 4 7 0 12 4; oval* dark 7 2 6 4
foxhead
  shape* main -95 30 -80 138 -14 70; shape* dark -80 45 -75 110 -34 66
  blob main -50 72 0 80 50 72 96 30 114 -22 74 -48 34 -78 0 -98 -34 -78 -74 -48 -114 -22 -96 30
  blob* light -112 -22 -78 -8 -40 -20 -14 -42 0 -60 0 -96 -34 -77 -74 -47; put eyes 0 0 100
  oval #26222c 0 -84 15 11; oval #fff::70 -4 -80 4 2
cathead
  shape* main -95 20 -70 126 -14 60; shape* #e29494 -80 35 -66 102 -34 60; oval main 0 -4 100 82
  oval* light 17 -44 25 20; oval light 0 -58 20 15; put eyes 0 0 100
  blob #26222c -13 -27 13 -27 7 -37 0 -41 -7 -37; oval* #26222c 8 -50 8 2 -14
eyes
  oval* #26222c 43 0 12 14; oval #fff 40 5 4 4; oval #fff -46 5 4 4
bird: birds robin parrot @meadow #4e8abe #faf0e2 #26222c
  oval #121426::26 0 0 30 3; shape #7a543c -6 0 -6 16 -4 16 -4 0; shape #7a543c 6 0 6 16 8 16 8 0
  shape main:-30 22 34 62 20 60 10 18 18; shape #f0ac46 -29 60 -46 53 -29 50
  blob main -30 60 -10 76 12 60 32 34 20 12 -8 10 -30 28; oval dark -16 60 4 4
  blob light -31 50 -14 44 2 16 -10 10 -28 26; blob main:-20 0 48 20 42 44 20 14 22
lighthouse: lighthouses @sea #ce483e #faf0e2 #26222c
  shape* #ffdc8c::22 3 88 150 112 150 72; blob #5c5a68 -42 -4 -30 6 0 10 28 7 44 -4
  shape light -15 6 -8 81 8 81 15 6; shape main -15 6 -14 21 14 21 15 6
  shape main -12 36 -11 51 11 51 12 36; shape main -9.4 66 -8 81 8 81 9.4 66
  shape dark::14 5 6 3 81 8 81 15 6; shape dark -13 80 -13 83 13 83 13 80
  shape #ffdc8c -8 83 -8 95 8 95 8 83; shape dark -1 83 -1 95 1 95 1 83
  blob main -11 94 0 106 11 94; blob dark -4 7 -4 16 4 16 4 7
house: home cabin cottage hut @mountains #be5242 #faf0e2 #5a3430
  oval #121426::26 0 0 48 4; oval #fff::50 27 92 4 4; oval #fff::40 31 102 5 5
  oval #fff::30 36 114 7 7; shape dark 18 84 29 84 29 50 18 50; shape light -40 46 40 46 40 0 -40 0
  shape dark::12 22 46 40 46 40 0 22 0; shape main -50 44 0 84 50 44
  shape dark::16 18 44 0 84 50 44; shape main:-40 -7 26 8 26 8 0 -7 0
  shape* #ffdc8c 14 34 30 34 30 16 14 16; shape* main:-40 21 34 23 34 23 16 21 16
boat: boats ship sailboat @sea #be4a3e #faf0e2 #7a543c
  shape dark -1 42 -1 126 1 126 1 42; blob light 2 122 20 86 42 48 3 46
  shape main 0 126 16 121 0 117; blob light:-10 -2 112 -20 76 -34 50 -3 48
  shape main -46 43 50 43 36 26 -32 26; shape light -46 43 50 43 47 39 -43 39
  oval #fff::50 3 24 52 1; oval #fff::35 3 20 40 1
tree: trees oak willow @meadow #60965c #faf0e2 #6e4e3e
  oval #121426::26 0 0 36 4
  blob dark -16 -2 -6 10 -6 40 -20 60 -10 60 0 48 12 62 20 60 7 40 7 10 17 -2
  oval* main:-16 33 62 20 20; oval* main:-16 19 80 22 22; oval main:-16 2 94 18 18
  oval* main 30 65 18 18; oval* main 16 83 20 20; oval main 0 72 22 22; oval main 0 97 16 16
  oval main:14 -33 71 9 9; oval main:14 -20 89 11 11; oval main:14 -3 101 8 8
flower: flowers tulip rose sunflower @meadow #f0b23c #c48e54 #7a4e34
  oval #121426::26 0 0 30 3; blob #4e7a48 -2 0 1 30 -2 66 2 66 5 30 2 0; oval* #4e7a48 15 16 18 6 34
  oval* main:-14 20 77 13 6 -24; oval* main:-14 9 89 13 6 -67; oval* main:-14 20 59 13 6 24
  oval* main:-14 9 47 13 6 67; oval* main 18 68 13 7; oval* main 13 81 13 7 -45; oval main 0 86 7 13
  oval* main 13 55 13 7 45; oval main 0 50 7 13; oval dark 0 68 11 11; oval light::40 -2 70 6 6
fir
  shape main -30 0 0 40 30 0; shape main -24 21 0 59 24 21; shape main -18 42 0 78 18 42
  shape main -12 63 0 98 12 63; shape light -7 78 0 98 7 78 0 83
peak
  shape main -70 -10 2 100 70 -10; shape dark::30 8 -10 2 100 70 -10
  shape light -20 68 2 100 23 68 11 76 6 64 0 75 -6 65 -12 76
cloud
  blob main -21 -1 -18 4 -11 5 -7 10 0 12 6 9 12 8 17 4 21 -1
"""
_SILHOUETTES: dict[str, list[str]] = {
    name: parts
    for name, *parts in re.findall(r"(?m)^(\w+)(?:: (.*) @(\w+) (.*))?\n((?:  .*\n)+)", _TEXT)
}

_ARRANGEMENTS = {
    "at a third": ((0.26, 0.24), 0.07, (0.66, 0.46)),
    "close up": ((0.5, 0.5), 0.36, (0.5, 0.6)),
    "before a great sun": ((0.5, 0.46), 0.27, (0.5, 0.5)),
    "between trees": ((0.6, 0.2), 0.06, (0.47, 0.4)),
    "in a window": ((0.4, 0.36), 0.08, (0.52, 0.42)),
}
"""Where the sun or moon stands, its radius; where the subject stands, and its height."""


def _arrange(pen: Pen, rng: Random, scene: Scene, light: Light, kind: str, stray: float) -> None:
    (orb_x, orb_y), radius, (x, size) = _ARRANGEMENTS[kind]
    orb_x, orb_y, x = (spot + rng.uniform(-0.05, 0.05) * stray for spot in (orb_x, orb_y, x))
    if kind == "close up" and scene.subject:
        pen.fade(light.orb, light.sky[-1], light.sky[-1])
        pen.disc((0.5, 0.5), radius, mix(light.sky[0], light.sky[-1], 0.25))
        furry = "put body" in _SILHOUETTES[scene.subject][-1]
        _stand(pen.at(0.5, 1.6, 1.55) if furry else pen.at(0.5, 0.84, size), scene)
        return
    _sky(pen, rng, light, (orb_x, orb_y), radius)
    foot = (_sea if scene.place == "sea" else _hills)(pen, rng, light, scene)
    _stand(pen.at(x, foot, size, rng.choice((-1, 1))), scene)
    for _ in range(120 if scene.place == "snow" else 0):
        near, flake = rng.random() ** 3, (rng.random(), rng.random())
        pen.disc(flake, 0.002 + 0.009 * near, (255, 255, 255), 0.85 - 0.45 * near)
    if kind == "between trees" and scene.place != "sea":
        dark = shade(light.on((70, 110, 98)), -0.55)
        for x, height in ((-0.02, 0.95), (0.11, 0.5), (1.0, 1.05), (0.9, 0.56)):
            pen.at(x, 1.1, height).sketch("fir", main=dark, light=dark, dark=dark)
    if kind == "in a window":
        mask = Image.new("L", pen.image.size, 255)
        *arch, radius = (share * _CANVAS_PIXELS for share in (0.16, 0.08, 0.84, 0.9, 0.34))
        ImageDraw.Draw(mask).rounded_rectangle(arch, radius, 0, corners=(True, True, False, False))
        pen.image.paste((248, 242, 230), (0, 0), mask)


def _stand(pen: Pen, scene: Scene) -> None:
    """Draw the subject, if there is one."""
    if scene.subject:
        main, pale, dark = (rgb(code) for code in _SILHOUETTES[scene.subject][2].split())
        main = scene.colours[0] if scene.colours else main
        pen.sketch(scene.subject, main=main, light=pale, dark=dark)


def _sky(pen: Pen, rng: Random, light: Light, orb: Point, radius: float) -> None:
    pen.fade(*light.sky, light.sky[-1])
    for _ in range(100 if light.time == "night" else 0):
        bright, star = rng.random(), (rng.random(), rng.random() ** 1.4 * 0.7)
        pen.disc(star, 0.0012 + 0.0018 * bright, (255, 250, 232), 0.45 + 0.5 * bright)
    pen.glow(orb, 0.16 + radius * 1.9, shade(light.sky[-1], 0.25), 0.5)
    pen.glow(orb, 0.04 + radius * 1.5, light.orb, 0.55)
    pen.disc(orb, radius, light.orb)
    if light.time == "night":
        for x, y, size in ((-0.35, -0.2, 0.2), (0.25, 0.35, 0.26), (0.3, -0.35, 0.12)):
            pen.at(*orb, radius).disc((x, y), size, mix(light.orb, light.sky[-1], 0.22))
    elif radius < 0.08:  # noqa: PLR2004 - clouds would hide a greater sun
        white = mix(shade(light.sky[-1], 0.55), light.orb, 0.25)
        for x in (0.0, 0.33, 0.66):
            cloud = pen.at(x + rng.random() / 3, rng.uniform(0.06, 0.3), rng.uniform(0.5, 0.8))
            cloud.sketch("cloud", main=white)


def _hills(pen: Pen, rng: Random, light: Light, scene: Scene) -> float:
    """Three hills behind each other and what grows there; returns where feet may stand."""
    ground, plant, leaf, count, size = _PLACES[scene.place or "meadow"].split()[:5]
    for distance, base in ((0.62, 0.62), (0.42, 0.68), (0.22, 0.76)):
        line, main = _swell(rng, base, 0.035), light.on(rgb(leaf), distance)
        snow = light.on((238, 243, 248), 0.3) if scene.place in {"snow", "mountains"} else main
        for x, y in rng.sample(line, int(count)):
            grown = pen.at(x, y + 0.01, int(size) / 100 * (1.25 - distance) * rng.uniform(0.7, 1.2))
            grown.sketch(plant, main=main, light=snow, dark=shade(main, -0.3))
        pen.below(line, light.on(rgb(ground), distance))
    pen.below(_swell(rng, 0.86, 0.02), light.on(rgb(ground), 0.03))
    return 0.87


def _sea(pen: Pen, rng: Random, light: Light, _scene: Scene) -> float:
    """Water that glitters, and a shore; returns where feet may stand."""
    for layer in range(5):
        water = light.on((44, 118, 152), 0.4 - 0.1 * layer)
        pen.below(_swell(rng, 0.62 + 0.06 * layer, 0.001 + 0.001 * layer, 4), water)
    for _ in range(70):
        near = rng.random() ** 1.4
        glint = (rng.random(), 0.62 + 0.25 * near), (0.01 + 0.025 * near, 0.0018)
        pen.oval(*glint, light.orb, 0.16 + 0.3 * rng.random())
    shore = _swell(rng, 0.89, 0.015, 0.7)
    pen.below([(x, y - 0.012) for x, y in shore], shade(light.sky[-1], 0.6))
    pen.below(shore, light.on((234, 200, 145)))
    return 0.93


def _scheme(rng: Random, named: Sequence[Colour]) -> list[Colour]:
    """Five colours that go together: shades of those that are named, then those of a light."""
    light = _light(rng.choice(("sunset", "night", "autumn")), rng.randrange(2))
    shades = [shade(colour, change) for change in (0, 0.35, -0.45, 0.7) for colour in named]
    colours = [*shades, light.orb, *light.sky, light.tint][:5]
    rng.shuffle(colours)
    return colours


def _waves(pen: Pen, rng: Random, colours: Sequence[Colour]) -> None:
    sky = shade(colours[0], 0.7)
    pen.fade(shade(colours[1], 0.5), sky)
    pen.disc((rng.uniform(0.25, 0.75), 0.3), rng.uniform(0.12, 0.18), colours[4])
    for layer in range(9):
        colour = mix(sky, colours[layer % 4], 0.25 + 0.085 * layer)
        pen.below(_swell(rng, 0.34 + 0.075 * layer, 0.05, rng.uniform(0.7, 1.5)), colour)


def _petals(pen: Pen, rng: Random, colours: Sequence[Colour]) -> None:
    tone = rng.choice((0.85, -0.7))
    pen.fade(shade(colours[0], tone), shade(colours[1], tone))
    count = rng.choice((5, 6, 8, 10))
    for ring, reach in enumerate((0.34, 0.24, 0.14)):
        for step in range(count):
            turn = 360 * (step + ring / 2) / count
            x, y = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            colour, size = colours[(step + ring) % 3 + ring % 2], 0.2 - 0.045 * ring
            pen.oval((0.5 + reach * x, 0.5 + reach * y), (size, size / 2), colour, 0.62, turn)
    pen.disc((0.5, 0.5), 0.05, colours[4])
