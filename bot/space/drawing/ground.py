"""Lines across the canvas, and everything below them."""

from __future__ import annotations

import itertools
import math
import random

from bot.space.drawing.pen import Colour, Pen, Point


def ridge(rng: random.Random, base: float, height: float, roughness: float = 0.55) -> list[Point]:
    """A mountain line across the canvas, by midpoint displacement."""
    line = [rng.uniform(-0.5, 0.5) * height for _ in range(4)]
    swing = height
    for _ in range(6):
        swing *= roughness
        halfway = [(a + b) / 2 + rng.uniform(-swing, swing) for a, b in itertools.pairwise(line)]
        line = [value for pair in zip(line, halfway, strict=False) for value in pair] + [line[-1]]
    last = len(line) - 1
    return [(index / last, base - value) for index, value in enumerate(line)]


def swell(rng: random.Random, base: float, height: float, waves: float = 1.4) -> list[Point]:
    """A rolling line across the canvas."""
    first, second = rng.random() * math.tau, rng.random() * math.tau
    return [
        (
            x,
            base
            - height * 0.7 * math.sin(first + x * waves * math.tau)
            - height * 0.3 * math.sin(second + x * waves * 2.3 * math.tau),
        )
        for x in (step / 80 for step in range(81))
    ]


def fill(pen: Pen, line: list[Point], colour: Colour) -> None:
    """Everything below a line."""
    pen.shape([*line, (1.0, 1.01), (0.0, 1.01)], colour)
