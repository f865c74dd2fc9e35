"""The engine without a model: it measures pictures and draws its own, and says so."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat

from bot.space.drawing import COUNT, paint
from bot.space.engine import Answering, Caller, Drawing, Pictures, Progress

STEP_DELAY_SECONDS = 0.12
"""Makes an answer last two to three seconds, so that people see it being made."""
_STEPS = 4  # of progress for each picture; the last one is spent drawing it
_PIECE_WORDS = 3  # in each piece of an answer

_NEUTRAL_SIZE, _NEUTRAL_COLOUR = (384, 384), (127, 127, 127)
"""What clients send in place of a picture when the person attached none."""

_STAND_IN = (
    "I am the offline stand-in for Janus-Pro-7B: there is no model behind me, so I only measure "
    "pictures and draw simple sketches."
)
_CANNOT_CHAT = (
    f"Hello! {_STAND_IN} I cannot chat, and there is no picture with your message. Send me a photo "
    "and I tell you its size, colours and light, or ask for a drawing of a red fox in the snow."
)
_CANNOT_TELL = "What the picture shows I cannot recognise; this is what I measured."

_TOPICS = {
    "size": "size big large small pixel pixels dimension dimensions resolution wide high tall "
    "width height landscape orientation format",
    "colours": "color colors colour colours coloured colored palette hue",
    "light": "bright brightness dark light contrast exposure exposed sharp blurry blurred detail",
    "symmetry": "symmetric symmetrical symmetry mirror mirrored",
}
_GENERAL = frozenset(
    {"describe", "description", "explain", "caption", "picture", "image", "photo", "see"}
)


class StandIn:
    """Implements `bot.space.engine.Engine`.

    Args:
        step_delay: seconds to wait in each step, for people to see it. 0 in tests.
    """

    def __init__(self, *, step_delay: float = STEP_DELAY_SECONDS) -> None:
        self._step_delay = step_delay

    async def describe(
        self,
        image: Image.Image | None,
        question: str,
        *,
        seed: int,  # noqa: ARG002 - measuring leaves nothing to chance
        top_p: float,  # noqa: ARG002 - same
        temperature: float,  # noqa: ARG002 - same
        caller: Caller,  # noqa: ARG002 - everybody is told the same
    ) -> Answering:
        """Say what was measured, beginning with what was asked for, a few words at a time."""
        yield Progress(0, 1, "Looking")
        facts = None if image is None else await asyncio.to_thread(measure, image)
        for piece in pieces(answer(facts, question)):
            await asyncio.sleep(self._step_delay)
            yield piece

    async def draw(
        self,
        prompt: str,
        *,
        seed: int,
        guidance: float,
        temperature: float,
        caller: Caller,  # noqa: ARG002 - everybody gets the same
    ) -> Drawing:
        """Draw five pictures; the same arguments give the same bytes again."""
        total = COUNT * _STEPS
        pictures: list[Image.Image] = []
        for index in range(COUNT):
            for step in range(index * _STEPS, (index + 1) * _STEPS):
                yield Progress(step, total, f"Sketching picture {index + 1} of {COUNT}, step")
                await asyncio.sleep(self._step_delay)
            drawn = await asyncio.to_thread(
                paint, prompt, index, seed=seed, guidance=guidance, temperature=temperature
            )
            pictures.append(drawn)
        yield Progress(total, total, "Done")
        yield Pictures(tuple(pictures))


def pieces(text: str) -> list[str]:
    """A text in pieces of a few words, spaces included: joined, they are the text again."""
    return re.findall(rf"(?:\S+\s*){{1,{_PIECE_WORDS}}}", text)


def last_question(prompt: str) -> str:
    """The newest question in a prompt into which a conversation was written."""
    newest = re.split(r"^(?:User|Answer this): *", prompt, flags=re.MULTILINE)[-1]
    return re.split(r"\nAssistant:", newest)[0].strip()


# Measuring: facts about a picture that need no model.

_SAMPLE_PIXELS = 96  # side of the reduced picture in which colours are counted
_EVEN_STEPS = 6  # of 255, by which channels of a picture of one colour vary, as JPEG makes them

_HUES = (
    (12, "red"),
    (42, "orange"),
    (68, "yellow"),
    (160, "green"),
    (195, "turquoise"),
    (255, "blue"),
    (290, "purple"),
    (345, "pink"),
    (361, "red"),
)
"""Where a hue's name ends, in degrees."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured.

    Attributes:
        width: pixels.
        height: pixels.
        colours: names of colours and their shares (0 to 1), largest first; the shares add up to 1.
        brightness: mean of the grey values, 0 (black) to 1 (white).
        contrast: their standard deviation, 0 to 0.5.
        detail: mean strength of edges, 0 to 1.
        symmetry: how much the left half is the mirror image of the right one, 0 to 1.
        even: the colour of a picture that has only one.
    """

    width: int
    height: int
    colours: tuple[tuple[str, float], ...]
    brightness: float
    contrast: float
    detail: float
    symmetry: float
    even: tuple[int, int, int] | None

    @property
    def orientation(self) -> str:
        """`"landscape"`, `"portrait"` or `"square"`."""
        if self.width == self.height:
            return "square"
        return "landscape" if self.width > self.height else "portrait"

    @property
    def ratio(self) -> str:
        """The sides' ratio in lowest terms, or empty if nobody would recognise it."""
        divisor = math.gcd(self.width, self.height)
        wide, high = self.width // divisor, self.height // divisor
        return f"{wide}:{high}" if max(wide, high) <= 21 else ""  # noqa: PLR2004 - 21:9 is a format


def measure(image: Image.Image) -> Facts:
    """Measure an RGB picture of any size."""
    width, height = image.size
    small = image.resize((_SAMPLE_PIXELS, _SAMPLE_PIXELS), Image.Resampling.BOX)
    grey = ImageOps.grayscale(small)
    statistics = ImageStat.Stat(grey)
    # The filter leaves the outermost pixels as they are: they lack neighbours to differ from.
    edges = ImageOps.crop(grey.filter(ImageFilter.FIND_EDGES), 1)
    unlike = ImageChops.difference(small, ImageOps.mirror(small))
    return Facts(
        width=width,
        height=height,
        colours=_shares(small),
        brightness=statistics.mean[0] / 255,
        contrast=statistics.stddev[0] / 255,
        detail=ImageStat.Stat(edges).mean[0] / 255,
        symmetry=1 - ImageStat.Stat(ImageOps.grayscale(unlike)).mean[0] / 255,
        even=_only_colour(image),
    )


def _only_colour(image: Image.Image) -> tuple[int, int, int] | None:
    lows, highs = zip(*ImageStat.Stat(image).extrema, strict=True)
    if any(high - low > _EVEN_STEPS for low, high in zip(lows, highs, strict=True)):
        return None
    red, green, blue = (round(low + high) // 2 for low, high in zip(lows, highs, strict=True))
    return red, green, blue


def _shares(small: Image.Image) -> tuple[tuple[str, float], ...]:
    counts: Counter[str] = Counter()
    for count, pixel in small.convert("HSV").getcolors(_SAMPLE_PIXELS**2) or ():
        hue, saturation, value = pixel  # type: ignore[misc] # a tuple in this mode
        counts[colour_name(hue * 360 / 255, saturation / 255, value / 255)] += count
    return tuple((colour, count / _SAMPLE_PIXELS**2) for colour, count in counts.most_common())


def colour_name(hue: float, saturation: float, value: float) -> str:  # noqa: PLR0911 - one name each
    """A plain word for a colour.

    Args:
        hue: 0 to 360 degrees.
        saturation: 0 to 1.
        value: 0 to 1.
    """
    if value < 0.16:  # noqa: PLR2004 - thresholds of perception, chosen by eye
        return "black"
    if saturation < 0.12:  # noqa: PLR2004 - same
        return _word(value, ((0.38, "dark grey"), (0.66, "grey"), (0.9, "light grey")), "white")
    word = next(word for end, word in _HUES if hue < end)
    pale = saturation < 0.45 and value > 0.7  # noqa: PLR2004 - same
    if word == "orange" and value < 0.68:  # noqa: PLR2004 - dark orange is called brown
        return "brown"
    if word in {"orange", "yellow"} and pale:
        return "beige"
    if word in {"red", "pink"} and pale:
        return "pink"
    if value < 0.42:  # noqa: PLR2004 - same
        return f"dark {word}"
    return f"light {word}" if pale else word


# Answering.


def answer(facts: Facts | None, question: str) -> str:
    """The whole answer to a question about a picture, or about none."""
    if facts is None:
        return _CANNOT_CHAT
    if facts.even == _NEUTRAL_COLOUR and (facts.width, facts.height) == _NEUTRAL_SIZE:
        return _CANNOT_CHAT
    sentences = {
        "size": _size(facts),
        "colours": _colours(facts),
        "light": _light(facts),
        "symmetry": _symmetry(facts),
    }
    words = set(re.findall(r"[a-z]+", last_question(question).lower()))
    asked = [topic for topic, known in _TOPICS.items() if not words.isdisjoint(known.split())]
    ordered = [*asked, *(topic for topic in sentences if topic not in asked)]
    told = " ".join(sentences[topic] for topic in ordered if sentences[topic])
    if asked or not words or not words.isdisjoint(_GENERAL):
        return f"{told}\n\n{_STAND_IN}"
    return f"{_CANNOT_TELL} {told}\n\n{_STAND_IN}"


def _size(facts: Facts) -> str:
    shape = {"square": "a square", "landscape": "landscape", "portrait": "portrait"}
    ratio = f" ({facts.ratio})" if facts.ratio and facts.orientation != "square" else ""
    size = f"{facts.width} x {facts.height} pixels"
    return f"The picture is {size}, {shape[facts.orientation]}{ratio}."


def _colours(facts: Facts) -> str:
    if facts.even is not None:
        red, green, blue = facts.even
        return (
            f"It is one even surface of {facts.colours[0][0]} (red {red}, green {green}, "
            f"blue {blue} of 255)."
        )
    shares = [f"{name} ({share:.0%})" for name, share in facts.colours[:4] if share >= 0.02]  # noqa: PLR2004 - less is not a main colour
    if len(shares) == 1:
        return f"Its main colour is {shares[0]}."
    return f"Its main colours are {', '.join(shares[:-1])} and {shares[-1]}."


def _light(facts: Facts) -> str:
    bright = _word(
        facts.brightness,
        ((0.2, "very dark"), (0.4, "rather dark"), (0.6, "of middle brightness"), (0.8, "bright")),
        "very bright",
    )
    if facts.even is not None:
        return f"It is {bright} ({facts.brightness:.0%})."
    contrast = _word(facts.contrast, ((0.08, "little"), (0.2, "moderate")), "strong")
    detail = _word(
        facts.detail, ((0.03, "smooth surfaces"), (0.09, "some fine detail")), "much fine detail"
    )
    mean = f"{facts.brightness:.0%} on average"
    return f"It is {bright} ({mean}), with {contrast} contrast and {detail}."


def _symmetry(facts: Facts) -> str:
    if facts.even is not None:
        return ""
    alike = _word(
        facts.symmetry,
        ((0.8, "differ"), (0.95, "resemble each other")),
        "mirror each other almost exactly",
    )
    return f"Its left and right halves {alike}."


def _word(value: float, limits: Sequence[tuple[float, str]], beyond: str) -> str:
    return next((word for limit, word in limits if value < limit), beyond)
