"""What is asked of the Space, worked out before anything is sent."""

from __future__ import annotations

import functools
import math
import secrets
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from bot.errors import BadInput
from bot.files import Recipe
from bot.provider.gradio_config import Function
from bot.provider.prompt import BUDGET, Message, Spoken, fold, harmless, shorten, spoken
from bot.provider.responses import Reasoning, Stage

UNDERSTAND = Function("multimodal_understanding", fn_index=2, trigger_id=10, inputs=5)
GENERATE = Function("generate_image", fn_index=3, trigger_id=20, inputs=4)
KNOWN = {function.name: function for function in (UNDERSTAND, GENERATE)}
"""The two functions with their numbers in the original app (the same in Gradio 4.44 to 6.31)."""

SEEDS = 2**32
"""Seeds are 0 to `SEEDS - 1`: what `numpy.random.seed` takes."""
TOP_P, TEMPERATURE = 0.95, 0.1
GUIDANCE, IMAGE_TEMPERATURE = 5.0, 1.0
"""The sliders' own defaults, except for the second temperature's, which is the function's."""

_BLANK_SIDE = 384
"""Pixels: the size that the model sees, so that nothing is scaled or padded."""
_GREY = 127
"""The colour with which the model's own processor pads."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a picture, or about nothing but words with a blank one.

    Attributes:
        text: the whole conversation, folded.
        picture: the file, sent as it is.
        media_type: of the picture.
        seed: 0 to `SEEDS - 1`.
        top_p: 0.0 to 1.0.
        temperature: 0.0 (always the likeliest token) to 1.0.
        unseen: pictures that were given and are not looked at: the function takes one.
        left_out: earlier messages that did not fit into the text.
    """

    function: ClassVar[str] = UNDERSTAND.name

    text: str
    picture: bytes = field(repr=False)
    media_type: str
    seed: int
    top_p: float = TOP_P
    temperature: float = TEMPERATURE
    unseen: int = 0
    left_out: int = 0

    def inputs(self, picture: Any) -> list[Any]:
        """The function's inputs, with the picture in the form that the server takes."""
        return [picture, self.text, self.seed, self.top_p, self.temperature]

    def notes(self) -> list[Reasoning]:
        """What there is to say before anything is sent."""
        notes = [Reasoning(Stage.CONNECTING, note=f"seed {self.seed}", left_out=self.left_out)]
        if self.unseen:
            text = f"The Space looks at one picture; of {self.unseen + 1}, the last is sent."
            notes.append(Reasoning(Stage.CONNECTING, note=text, level="warning"))
        return notes


@dataclass(frozen=True, slots=True)
class Drawing:
    """Pictures to be made.

    Attributes:
        prompt: what to draw.
        seed: 0 to `SEEDS - 1`.
        guidance: 1.0 to 10.0.
        temperature: above 0.0, to 1.0.
    """

    function: ClassVar[str] = GENERATE.name

    prompt: str
    seed: int
    guidance: float = GUIDANCE
    temperature: float = IMAGE_TEMPERATURE

    def inputs(self) -> list[Any]:
        """The function's inputs."""
        return [self.prompt, self.seed, self.guidance, self.temperature]

    def notes(self) -> list[Reasoning]:
        """As `Question.notes`; the seed is in the recipe of each picture."""
        return [Reasoning(Stage.CONNECTING)]

    def recipe(self, space: str, index: int) -> Recipe:
        """How image number `index` was made on `space`."""
        return Recipe(self.prompt, self.seed, self.guidance, self.temperature, space, index)


Job: TypeAlias = Question | Drawing


@dataclass(frozen=True, slots=True)
class Wishes:
    """Values that a caller may set; `None` leaves them to the defaults."""

    seed: int | None = None
    guidance: float | None = None
    temperature: float | None = None
    top_p: float | None = None


def make_job(
    messages: Sequence[Message],
    media: Sequence[Any] | None,
    prompt: str | None,
    wishes: Wishes,
    *,
    draws: bool,
) -> Job:
    """Decide what is asked.

    A prompt makes pictures; so does a model that draws, unless there is a picture to ask about.

    Args:
        messages: the conversation, oldest first.
        media: pictures, or pairs of a picture and its name; each as `bot.image.to_bytes` takes it.
        prompt: what to draw.
        wishes: the other values; those outside their range are moved to its end.
        draws: whether the model is one that makes pictures.

    Raises:
        BadInput: nothing is asked, or a value is not a number.
        ImageError: the picture cannot be read.
    """
    read = spoken(messages)
    seed = _seed(wishes.seed)
    pictures = [_unnamed(item) for item in media or ()]
    pictures = pictures or [picture for message in read for picture in message.pictures]
    if prompt is not None or (draws and not pictures):
        words = harmless(prompt.strip()) if prompt is not None else _newest(read)
        if not words:
            raise BadInput("Say what to draw.")
        return Drawing(
            shorten(words, BUDGET),
            seed,
            _within("guidance", wishes.guidance, GUIDANCE, 1.0, 10.0),
            _within("temperature", wishes.temperature, IMAGE_TEMPERATURE, 0.01, 1.0),
        )
    if not read and not pictures:
        raise BadInput("There is nothing to answer.")
    data, media_type = _picture(pictures[-1]) if pictures else (blank_png(), "image/png")
    folded = fold(read, picture=bool(pictures))
    return Question(
        folded.text,
        data,
        media_type,
        seed,
        _within("top_p", wishes.top_p, TOP_P, 0.0, 1.0),
        _within("temperature", wishes.temperature, TEMPERATURE, 0.0, 1.0),
        unseen=max(0, len(pictures) - 1),
        left_out=folded.left_out,
    )


def _newest(messages: Sequence[Spoken]) -> str:
    return next((message.text for message in reversed(messages) if message.text), "")


def _unnamed(item: Any) -> Any:
    """A picture without the name that may come with it."""
    return item[0] if isinstance(item, tuple | list) and item else item


def _seed(wish: Any) -> int:
    if wish is None:
        return secrets.randbelow(SEEDS)
    try:
        return int(wish) % SEEDS
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"The seed is a whole number from 0 to {SEEDS - 1}.") from None


def _within(name: str, wish: Any, default: float, low: float, high: float) -> float:
    if wish is None:
        return default
    try:
        value = float(wish)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if math.isnan(value):
        raise BadInput(f"The {name} is a number from {low:g} to {high:g}.")
    return min(high, max(low, value))


def _picture(source: Any) -> tuple[bytes, str]:
    from bot.image import (  # noqa: PLC0415 - Pillow takes longer to import than all the rest
        is_accepted_format,
        to_bytes,
    )

    data = to_bytes(source)
    return data, is_accepted_format(data)


@functools.cache
def blank_png() -> bytes:
    """A plain grey picture for questions without one: the function fails without any."""
    row = b"\0" + bytes([_GREY] * 3 * _BLANK_SIDE)
    header = struct.pack(">IIBBBBB", _BLANK_SIDE, _BLANK_SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * _BLANK_SIDE, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
