"""The engine without a model: it measures pictures and draws sketches, and says so."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence

from PIL import Image

from bot.space.drawing.compose import COUNT, Request, paint
from bot.space.engine import Report
from bot.space.measure import Facts, measure

STEP_DELAY = 0.12
"""Seconds; makes an answer last two to three seconds, so that people see it being made."""
STEPS = 4
"""Progress steps of each picture; the last one is spent drawing it."""
WORDS = 3
"""Words in each piece of an answer."""

NEUTRAL_SIZE, NEUTRAL_COLOUR = (384, 384), (127, 127, 127)
"""What clients send in place of a picture when the person attached none."""

STAND_IN = (
    "I am the offline stand-in for Janus-Pro-7B: there is no model behind me, so I only measure "
    "pictures and draw simple sketches."
)
CANNOT_CHAT = (
    f"Hello! {STAND_IN} I cannot chat, and there is no picture with your message. Send me a photo "
    "and I tell you its size, colours and light, or ask for a drawing of a red fox in the snow."
)
CANNOT_TELL = "What the picture shows I cannot recognise; this is what I measured."

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


class SketchEngine:
    """Implements `bot.space.engine.Engine`. Safe to call from several threads.

    Args:
        step_delay: seconds to wait in each step, for people to see it. 0 in tests.
    """

    def __init__(self, *, step_delay: float = STEP_DELAY) -> None:
        self._step_delay = step_delay

    def describe(
        self,
        image: Image.Image | None,
        question: str,
        *,
        seed: int,  # noqa: ARG002 - measuring leaves nothing to chance
        top_p: float,  # noqa: ARG002 - same
        temperature: float,  # noqa: ARG002 - same
    ) -> Iterator[str]:
        """Say what was measured, beginning with what was asked for, a few words at a time."""
        facts = None if image is None else measure(image)
        for piece in pieces(answer(facts, question)):
            time.sleep(self._step_delay)
            yield piece

    def draw(
        self, prompt: str, *, seed: int, guidance: float, temperature: float, report: Report
    ) -> Sequence[Image.Image]:
        """Draw five sketches; the same arguments give the same bytes again."""
        request = Request(prompt, seed, guidance, temperature)
        total = COUNT * STEPS
        pictures = []
        for index in range(COUNT):
            for step in range(STEPS):
                report(index * STEPS + step, total, f"Sketching picture {index + 1} of {COUNT}")
                time.sleep(self._step_delay)
            pictures.append(paint(request, index))
        report(total, total, "Done")
        return pictures


def pieces(text: str) -> list[str]:
    """A text in pieces of `WORDS` words, spaces included: joined, they are the text again."""
    return re.findall(rf"(?:\S+\s*){{1,{WORDS}}}", text)


def answer(facts: Facts | None, question: str) -> str:
    """The whole answer to a question about a picture, or about none."""
    if facts is None:
        return CANNOT_CHAT
    if facts.even == NEUTRAL_COLOUR and (facts.width, facts.height) == NEUTRAL_SIZE:
        return CANNOT_CHAT
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
        return f"{told}\n\n{STAND_IN}"
    return f"{CANNOT_TELL} {told}\n\n{STAND_IN}"


def last_question(prompt: str) -> str:
    """The newest question in a prompt into which a conversation was written."""
    newest = re.split(r"^(?:User|Answer this): *", prompt, flags=re.MULTILINE)[-1]
    return re.split(r"\nAssistant:", newest)[0].strip()


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
